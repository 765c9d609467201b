"""Predictions for a file of any length, window by window.

In: a source and a file of records. Out: lines in a journal. A window is a fixed stretch of the good records, whose
batches are made anew as a whole when a kill left it half written: a number never depends on where a run was stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from tqdm import tqdm

from kd_rag.commands._models import model_identity, open_model
from kd_rag.commands._parts import adjustment, build_preparation, label_trees
from kd_rag.commands._source import Source
from kd_rag.config import Config
from kd_rag.data.collator import Collator
from kd_rag.data.formats import read_entries
from kd_rag.data.prepare import Preparation
from kd_rag.data.records import examine
from kd_rag.data.tasks import resolve_tasks
from kd_rag.evaluation.journal import Journal
from kd_rag.evaluation.predictions import Prediction
from kd_rag.training.module import Distiller
from kd_rag.training.trainer import evaluating
from kd_rag.types import InputError, Record

WINDOW_BATCHES = 8
"""Batches of a window: their pictures are in memory together, and among them lengths are sorted."""

_SECTIONS = ("tasks", "model", "prompt", "reasoning", "student", "ocr", "knowledge", "retriever", "query", "evaluation")
"""What of a configuration can move a prediction, beside the trainer's precision."""


@dataclass(frozen=True)
class Predictor:
    """A model with all that makes prompts of records; `source` names it for a journal."""

    config: Config
    preparation: Preparation
    collator: Collator
    module: Distiller
    source: dict[str, Any]

    @classmethod
    def of(cls, source: Source) -> Predictor:
        """Open the model; raises InputError where the configuration does not say what the labels are."""
        config = source.config
        if not config.tasks:
            raise InputError("tasks: is empty; name the tasks and their labels in a --config, or use --run")
        if source.train_label_counts is None and config.evaluation.prior_correction:
            raise InputError("evaluation.prior_correction: the labels that the model was trained on are unknown; set 0")
        tasks = resolve_tasks(config.tasks, [], {})
        preparation = build_preparation(config, tasks)
        model = open_model(source.path, config)
        adjust = adjustment(config, source.train_label_counts or {})
        module = Distiller(model, label_trees(model.processor, tasks), config, adjust=adjust)
        collator = Collator(model.processor, config.prompt, config.student.prompt)
        named = {
            "model": model_identity(source.path, config),
            "knowledge": preparation.retriever.snapshot,
            "prior": source.train_label_counts,
            "trainer.precision": config.trainer.precision,
            **{f"{name}.{key}": value for name in _SECTIONS for key, value in asdict(config)[name].items()},
        }
        return cls(config, preparation, collator, module, named)

    def predict(self, records: list[Record]) -> list[Prediction]:
        """Return the predictions of one window of records in their order."""
        examples = self.preparation.examples(records, "eval", self.config.student.prompt)
        batches = self.collator.prompts_by_length(
            [examples[i, 0] for i in range(len(records))], self.config.evaluation.batch_size
        )
        loader: DataLoader[Any] = DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
        self.module.predictions = []
        evaluating(self.config.trainer, bar=False).predict(self.module, loader, return_predictions=False)
        by_id = {prediction.id: prediction for prediction in self.module.predictions}
        return [by_id[record.id] for record in records]


def predict_file(predictor: Predictor, path: Path, out: Path, rejects: Path, *, strict: bool) -> tuple[int, int]:
    """Label the records of `path`, going on with `out` where it ends; return how many were labelled and rejected.

    Raises InputError when `out` is of another source, and with `strict` at the first record that cannot be used.
    """
    entries = sum(1 for _ in read_entries(path))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    journal = Journal.open(out, {"input": digest, **predictor.source})
    # The same input and source give the same order, so only the number of finished lines matters.
    finished, written, size = len(journal.finished), 0, WINDOW_BATCHES * predictor.config.evaluation.batch_size
    with rejects.open("w", encoding="utf-8") as rejected, tqdm(total=entries, unit="record", desc="predict") as bar:
        good = _Good(path, predictor, rejected, strict)
        while window := list(islice(good, size)):
            missing = max(0, finished - written)
            if missing < len(window):
                journal.append(predictor.predict(window)[missing:])
            written += len(window)
            bar.update(written + good.rejected - bar.n)
        bar.update(entries - bar.n)
    if not good.rejected:
        rejects.unlink()
    return written, good.rejected


class _Good(Iterator[Record]):
    """The records of `path` that can be labelled; the others are written to `rejects` on the way."""

    def __init__(self, path: Path, predictor: Predictor, rejects: Any, strict: bool) -> None:
        self._path, self._found = path, examine(path, decode=True)
        self._tasks, self._rejects, self._strict = predictor.config.tasks, rejects, strict
        self.rejected = 0

    def __next__(self) -> Record:
        for found in self._found:
            place: str | None = None
            identity: str | None = found.id
            if isinstance(found, Record):
                reason = self._unusable(found)
                if reason is None:
                    return found
                reasons = [reason]
            else:
                place, reasons = found.place, list(found.faults)
            if self._strict:
                raise InputError(f"{self._path}, {place or f'record {identity!r}'}: {reasons[0]}")
            self.rejected += 1
            line = {"id": identity, "place": place, "reasons": reasons}
            self._rejects.write(json.dumps(line, ensure_ascii=False) + "\n")
        raise StopIteration

    def _unusable(self, record: Record) -> str | None:
        """Return why a well-formed record cannot be labelled by these tasks, None where it can."""
        if record.task not in self._tasks:
            return f"task {record.task!r} is not one of the model's: {', '.join(self._tasks)}"
        labels = self._tasks[record.task].labels
        if record.label is not None and record.label not in (labels or ()):
            return f"label {record.label!r} is not one of the {len(labels or ())} labels of task {record.task!r}"
        return None
