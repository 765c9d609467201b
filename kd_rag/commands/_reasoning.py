"""What gives reasons for the labels of records: a model whose prompts show the gold label.

In: a source and labelled records. Out: a line `{id, reasons}` for each record whose answer is as asked: reasons, then
the gold label alone on the last line. One that ends with another label argues for that, and is dropped as STaR drops
wrong rationales (Zelikman et al. 2022, arXiv 2203.14465).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kd_rag.commands._prediction import Predictor
from kd_rag.commands._source import Source
from kd_rag.commands._windows import Unmade
from kd_rag.config import Config, TaskConfig
from kd_rag.data._formats_fields import shown
from kd_rag.data.reasoning import read_reasons_file
from kd_rag.data.records import examine
from kd_rag.data.tasks import resolve_tasks
from kd_rag.scoring.decode import free_texts, split_answer
from kd_rag.types import Record


@dataclass(frozen=True)
class Reasoner:
    """A model with all that makes prompts of records."""

    name = "reason"
    predictor: Predictor

    @classmethod
    def of(cls, source: Source, path: Path) -> Reasoner:
        """Open the model; label sets that are not configured are those of the records in `path`."""
        _settle_labels(source.config, path)
        return cls(Predictor.of(source))

    @property
    def source(self) -> Mapping[str, Any]:
        """What the reasons depend on."""
        return {"lines": "reasons", **self.predictor.source}

    @property
    def batch_size(self) -> int:
        """Records that are answered together."""
        return self.predictor.batch_size

    def unusable(self, record: Record) -> str | None:
        """Return why no reasons can be asked for."""
        return "has no label to give reasons for" if record.label is None else self.predictor.unusable(record)

    def lines(self, records: list[Record]) -> list[str | Unmade]:
        """Return the line of each record of one window, or what is wrong with its answer."""
        own, config = self.predictor, self.predictor.config
        examples = own.preparation.examples(records, "eval", config.student.prompt)
        asking = [replace(examples[i, 0], asked="reasons") for i in range(len(records))]
        found: dict[str, str | Unmade] = {}
        for batch in own.collator.prompts_by_length(asking, self.batch_size):
            inputs = batch.inputs.to(own.answers.device)
            with own.answers.precision():
                said = free_texts(own.answers.model, inputs, config.reasoning.max_tokens)
            found |= {e.record.id: _line(e.record, text) for e, text in zip(batch.examples, said, strict=True)}
        return [found[record.id] for record in records]

    def ids(self, path: Path) -> list[str]:
        """Return the ids in a file of reasons."""
        return list(read_reasons_file(path))


def _line(record: Record, text: str) -> str | Unmade:
    reasons, last = split_answer(text)
    if last != record.label:
        return Unmade(
            f"the answer ends with {shown(last)}, not with the label {record.label!r} alone on its last line; one that "
            "was cut short needs more reasoning.max_tokens"
        )
    if not reasons:
        return Unmade("the answer is the label without reasons; ask a model that was not trained to answer so")
    return json.dumps({"id": record.id, "reasons": reasons}, ensure_ascii=False) + "\n"


def _settle_labels(config: Config, path: Path) -> None:
    """Write the label sets that training on the records of `path` would have into `config`, where one is missing."""
    if config.tasks and all(task.labels is not None for task in config.tasks.values()):
        return
    records = [found for found in examine(path, decode=False) if isinstance(found, Record)]
    for name, task in resolve_tasks(config.tasks, records, {}).items():
        config.tasks.setdefault(name, TaskConfig()).labels = list(task.labels)
