"""What stands behind a prediction: the record with its pictures, the text boxes on them, the passages and their scores.

In: runs. Out: for a run and a record, `Material`. All of it is looked up where the run found or kept it (record file,
OCR cache, knowledge base, retrieval cache) and nothing is computed anew; what is gone is told in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from kd_rag.config import TaskConfig, split_ocr
from kd_rag.data.queries import dialogue_text, make_query
from kd_rag.data.records import BadRecord, examine
from kd_rag.evaluation.predictions import Prediction
from kd_rag.evaluation.runs import Run
from kd_rag.knowledge.manifest import Manifest
from kd_rag.ocr import denoise, kept_lines
from kd_rag.retrievers._cache import Answer, kept_answers
from kd_rag.types import InputError, Passage, Query, Record, TextLine

Lines = tuple[TextLine, ...]


class Cited(NamedTuple):
    """A passage of a prompt; `passage` and `score` are None where they were not kept."""

    id: str
    passage: Passage | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Material:
    """`record` is None where `fault` says why; `boxes` has lines for those pictures whose text was kept."""

    record: Record | None
    fault: str | None
    boxes: Mapping[Path, Lines]
    passages: Sequence[Cited]


class Shelf:
    """Looks things up for several runs, each file once."""

    def __init__(self) -> None:
        self._records = cache(_records)
        self._passages = cache(_passages)
        self._answers: dict[Path, Callable[[Query], Answer | None]] = {}

    def look_up(self, run: Run, prediction: Prediction) -> Material:
        """Return what is still known about a prediction of a run."""
        entry = self._entry(run, prediction)
        if isinstance(entry, str):
            cited = [Cited(i, self._passage(run, i), None) for i in prediction.passages]
            return Material(None, entry, {}, cited)
        boxes = _boxes(run, entry)
        scores = self._scores(run, entry, boxes) if prediction.passages else {}
        cited = [Cited(i, self._passage(run, i), scores.get(i)) for i in prediction.passages]
        return Material(entry, None, boxes, cited)

    def _entry(self, run: Run, prediction: Prediction) -> Record | str:
        """Return the record, or why it cannot be shown."""
        file = records_file(run)
        if file is None:
            return f"The run's configuration names no file of {run.metrics['split']} records."
        found = self._records(file)
        if isinstance(found, str):
            return f"The record cannot be shown: {found}."
        entry = found.get(prediction.id)
        if entry is None:
            return f"The record cannot be shown: {file} has no record {prediction.id!r} any more."
        return f"The record cannot be shown: {entry.sentences()[0]}." if isinstance(entry, BadRecord) else entry

    def _passage(self, run: Run, identity: str) -> Passage | None:
        path = run.config.knowledge.path
        return self._passages(run.path(path), run.facts.get("knowledge_snapshot")).get(identity) if path else None

    def _scores(self, run: Run, record: Record, boxes: Mapping[Path, Lines]) -> dict[str, float]:
        """Return the scores of a record's passages from the retrieval cache."""
        if run.folder not in self._answers:
            snapshot = str(run.facts.get("knowledge_snapshot"))
            self._answers[run.folder] = kept_answers(run.config.retriever, snapshot, _cache(run) / "retrieval")
        task = run.config.tasks.get(record.task, TaskConfig())
        lines: Sequence[Lines] = []
        if run.config.student.prompt.ocr and task.ocr.eval:
            meanings = task.descriptions.values() if task.described.eval else ()
            texts = [*(task.labels or ()), *meanings, *dialogue_text(record).split("\n")]
            lines = [boxes.get(path, ()) for path in record.images]
            if task.denoised.eval:
                lines = denoise(lines, texts, split_ocr(run.config.ocr)[1].denoise)
        return dict(self._answers[run.folder](make_query(record, [*chain(*lines)], run.config.query)) or [])


def records_file(run: Run) -> Path | None:
    """Return the file of the records that a run was scored on."""
    name = getattr(run.config.data, run.metrics["split"])
    return None if name is None else run.path(name)


def _records(file: Path) -> dict[str, Record | BadRecord] | str:
    """Return the records of a file by id, or what is wrong with it."""
    try:
        return {entry.id: entry for entry in examine(file, decode=False) if entry.id is not None}
    except InputError as error:
        return str(error)


def _boxes(run: Run, record: Record) -> dict[Path, Lines]:
    """Return the lines of the record's pictures that the run's engine read; none where the engine cannot be opened."""
    folder = _cache(run) / "ocr"
    try:
        return kept_lines(record, split_ocr(run.config.ocr)[0], folder)
    except InputError:
        return {}


def _passages(folder: Path, snapshot: str | None) -> dict[str, Passage]:
    """Return the passages of a knowledge base by id, none where it is gone or no longer in the state of the run."""
    try:
        manifest = Manifest.read(folder)
        return {p.id: p for p in manifest.passages()} if manifest.snapshot == snapshot else {}
    except InputError:
        return {}


def _cache(run: Run) -> Path:
    return run.path(str(Path(run.config.cache_dir).expanduser()))
