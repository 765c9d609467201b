"""What labels records: a model with all that makes prompts of them.

In: a source and records. Out: a prediction, or its line, for each.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kd_rag.commands._models import model_identity, open_model
from kd_rag.commands._parts import adjustment, build_preparation, label_trees
from kd_rag.commands._source import Source
from kd_rag.config import Config
from kd_rag.data.collator import Collator
from kd_rag.data.prepare import Preparation
from kd_rag.data.tasks import resolve_tasks
from kd_rag.evaluation.predictions import Prediction, as_line, read_predictions
from kd_rag.training.serving import Answers
from kd_rag.types import InputError, Record

_SECTIONS = ("tasks", "model", "prompt", "reasoning", "student", "ocr", "knowledge", "retriever", "query", "evaluation")
"""What of a configuration can move a prediction, beside the trainer's precision."""


@dataclass(frozen=True)
class Predictor:
    """A model with all that makes prompts of records; `source` names it for a journal."""

    name = "predict"
    config: Config
    preparation: Preparation
    collator: Collator
    answers: Answers
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
        answers = Answers(model, label_trees(model.processor, tasks), adjust, config)
        collator = Collator(model.processor, config.prompt, config.student.prompt)
        named = {
            "model": model_identity(source.path, config),
            "knowledge": preparation.retriever.snapshot,
            "prior": source.train_label_counts,
            "trainer.precision": config.trainer.precision,
            **{f"{name}.{key}": value for name in _SECTIONS for key, value in asdict(config)[name].items()},
        }
        return cls(config, preparation, collator, answers, named)

    def predict(self, records: list[Record]) -> list[Prediction]:
        """Return the predictions of one window of records in their order."""
        examples = self.preparation.examples(records, "eval", self.config.student.prompt)
        batches = self.collator.prompts_by_length(
            [examples[i, 0] for i in range(len(records))], self.config.evaluation.batch_size
        )
        by_id = {prediction.id: prediction for batch in batches for prediction in self.answers(batch)}
        return [by_id[record.id] for record in records]

    @property
    def batch_size(self) -> int:
        """Records that are scored together."""
        return self.config.evaluation.batch_size

    def unusable(self, record: Record) -> str | None:
        """Return why a well-formed record cannot be labelled by these tasks, None where it can."""
        tasks = self.config.tasks
        if record.task not in tasks:
            return f"task {record.task!r} is not one of the model's: {', '.join(tasks)}"
        labels = tasks[record.task].labels or ()
        if record.label is not None and record.label not in labels:
            return f"label {record.label!r} is not one of the {len(labels)} labels of task {record.task!r}"
        return None

    def lines(self, records: list[Record]) -> list[str]:
        """Return the lines of one window of records."""
        return [as_line(prediction) for prediction in self.predict(records)]

    def ids(self, path: Path) -> list[str]:
        """Return the ids in a file of predictions."""
        return [prediction.id for prediction in read_predictions(path)]
