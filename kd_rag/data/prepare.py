"""From records to examples: text of the pictures, passages, and (in training) augmentation.

In: records, and the reader, retriever and augmentation that a command built. Pictures are read and passages retrieved
once, for all records, before the first step; both belong to the original record, so an augmented view keeps
the passages of its original, and the text as well, unless its pictures are read anew (`ocr.of_augmented`). Augmentation
is drawn per (seed, record id, view).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from PIL.Image import Image

from kd_rag.config import PromptParts, QueryConfig, RaftConfig, TaskConfig
from kd_rag.data.queries import dialogue_text, make_query
from kd_rag.data.raft import Raft, check_raft
from kd_rag.pictures import PictureError, load_picture
from kd_rag.types import (
    Asked,
    Dialogue,
    Example,
    InputError,
    Passage,
    Query,
    Record,
    Retrieved,
    Stage,
    Task,
    TextLine,
)

Lines = tuple[TextLine, ...]
Passages = list[tuple[Retrieved, ...]]
Choose = Callable[[Sequence[Lines], Sequence[str]], tuple[Lines, ...]]
"""`choose(lines of each picture of a record, texts of what is asked)` returns the lines worth showing."""


class Retriever(Protocol):
    """What `retrievers` offers; `snapshot` names the state of the knowledge base."""

    snapshot: str

    def retrieve(self, queries: Sequence[Query]) -> Passages:
        """Return the passages of each query, best first."""


def _as_read(pages: Sequence[Lines], asked: Sequence[str]) -> tuple[Lines, ...]:
    return tuple(pages)


def _label_alone(record: Record, view: int, stage: Stage = "train") -> Asked:
    return "label"


@dataclass(frozen=True)
class Preparation:
    """Everything that turns records into examples, as the command built it.

    `read_lines(records)` returns the lines of each picture by record id.
    `denoise` chooses the lines of those tasks whose text is denoised.
    `read_view(pictures)`, where there is one, returns the lines of a view's pictures.
    `find_leaks(queries, labels, passages)` counts what evaluation records should not have found.
    `find_distractors(queries, passages)` returns passages to draw from, and the ids that each query may not have.
    `asked(record, view, stage=stage)` returns what the prompt of a view asks for.
    """

    tasks: Mapping[str, Task]
    switches: Mapping[str, TaskConfig]
    read_lines: Callable[[Sequence[Record]], Mapping[str, Sequence[Lines]]]
    denoise: Choose
    retriever: Retriever
    query: QueryConfig
    find_leaks: Callable[[Sequence[Query], Sequence[str | None], Passages], dict[str, Any]]
    find_distractors: Callable[[Sequence[Query], Passages], tuple[Sequence[Passage], list[frozenset[str]]]]
    augment: Callable[[Dialogue, str, int], Dialogue]
    raft: RaftConfig
    seed: int
    read_view: Callable[[Sequence[Image]], tuple[Lines, ...]] | None = None
    asked: Callable[..., Asked] = _label_alone

    def examples(self, records: Sequence[Record], stage: Stage, parts: PromptParts) -> Examples:
        """Read and retrieve for all `records` what `parts` may show, as their task's switches for `stage` say."""
        tasks = {name: self._described(task, stage) for name, task in self.tasks.items()}
        reading = [r for r in records if parts.ocr and getattr(self.switches[r.task].ocr, stage)]
        read = self.read_lines(reading)
        choose = {name: self.denoise if getattr(self.switches[name].denoised, stage) else _as_read for name in tasks}
        lines = {r.id: choose[r.task](read[r.id], _asked(r, tasks[r.task])) for r in reading}
        offered = [r for r in records if parts.passages and getattr(self.switches[r.task].retrieval, stage)]
        asked = [(r, make_query(r, [*chain(*lines.get(r.id, ()))], self.query)) for r in offered]
        asked = [(r, query) for r, query in asked if query.text or query.pictures]
        queries = [query for _, query in asked]
        found = self.retriever.retrieve(queries)
        leaking = stage == "eval" and any(found)
        return Examples(
            records=records,
            tasks=tasks,
            lines=lines,
            passages={r.id: passages for (r, _), passages in zip(asked, found, strict=True)},
            augment={name: self.augment for name in tasks if stage == "train" and self.switches[name].augment},
            raft=self._raft([r.id for r, _ in asked], queries, found) if stage == "train" else None,
            choose=choose,
            read_view=self.read_view if stage == "train" else None,
            leaks=self.find_leaks(queries, [r.label for r, _ in asked], found) if leaking else {},
            asked=partial(self.asked, stage=stage),
        )

    def _described(self, task: Task, stage: Stage) -> Task:
        return task if getattr(self.switches[task.name].described, stage) else replace(task, descriptions={})

    def _raft(self, record_ids: Sequence[str], queries: Sequence[Query], found: Passages) -> Raft | None:
        """Return what draws the passages of training views; None where they are those that were retrieved."""
        check_raft(self.raft)
        if self.raft == RaftConfig():
            return None
        pool, barred = self.find_distractors(queries, found)
        return Raft(self.raft, self.seed, pool, dict(zip(record_ids, barred, strict=True)))


@dataclass(frozen=True)
class Examples:
    """A sequence of examples that decodes and augments on access; safe to send to DataLoader workers.

    `augment` has the tasks whose records are changed, `choose` for each task what becomes of the lines of a view.
    `leaks` counts what evaluation records should not have found; it is empty where nothing was retrieved.
    """

    records: Sequence[Record]
    tasks: Mapping[str, Task]
    lines: Mapping[str, tuple[Lines, ...]]
    passages: Mapping[str, tuple[Retrieved, ...]]
    augment: Mapping[str, Callable[[Dialogue, str, int], Dialogue]]
    raft: Raft | None
    leaks: Mapping[str, Any]
    choose: Mapping[str, Choose]
    read_view: Callable[[Sequence[Image]], tuple[Lines, ...]] | None = None
    asked: Callable[[Record, int], Asked] = _label_alone

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: tuple[int, int]) -> Example:
        """Return record number `key[0]` in view `key[1]`."""
        index, view = key
        record = self.records[index]
        dialogue = Dialogue(record.turns, tuple(self._picture(record, path) for path in record.images))
        task, lines = self.tasks[record.task], self.lines.get(record.id, ())
        if augment := self.augment.get(record.task):
            dialogue = augment(dialogue, record.id, view)
            if self.read_view and record.id in self.lines:
                lines = self.choose[record.task](self.read_view(dialogue.pictures), _asked(record, task))
        passages = self.passages.get(record.id, ())
        return Example(
            record=record,
            task=task,
            dialogue=dialogue,
            passages=self.raft.shown(passages, record.id, view) if self.raft else passages,
            lines=lines,
            view=view,
            asked=self.asked(record, view),
        )

    @staticmethod
    def _picture(record: Record, path: Path) -> Image:
        try:
            return load_picture(path)
        except PictureError as error:
            raise InputError(f"record {record.id!r}: {error}") from None


def _asked(record: Record, task: Task) -> list[str]:
    """Return the texts that lines of a record's pictures may have to do with."""
    return [*task.labels, *task.descriptions.values(), *dialogue_text(record).split("\n")]
