"""From records to examples: text of the pictures, passages, and (in training) augmentation.

In: records, and the reader, retriever and augmentation that a command built. Pictures are read and passages retrieved
once, for all records, before the first step; both belong to the original record, so an augmented view keeps
the text and the passages of its original. Augmentation is drawn per (seed, record id, view).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL.Image import Image

from kd_rag.config import TaskConfig
from kd_rag.pictures import load_picture
from kd_rag.types import (
    IMAGE_MARKER,
    Dialogue,
    Example,
    InputError,
    Record,
    Retrieved,
    Stage,
    Task,
    TextLine,
)

Lines = tuple[TextLine, ...]
QUERY_TURNS = 2
"""A retrieval query is made of so many of the customer's last turns."""


class Retriever(Protocol):
    """What `retrievers` offers; `snapshot` names the state of the knowledge base."""

    snapshot: str

    def retrieve(self, queries: Sequence[str]) -> list[tuple[Retrieved, ...]]:
        """Return the passages of each query, best first."""


@dataclass(frozen=True)
class Preparation:
    """Everything that turns records into examples, as the command built it."""

    tasks: Mapping[str, Task]
    switches: Mapping[str, TaskConfig]
    read_pictures: Callable[[Sequence[Path]], dict[Path, Lines]]
    retriever: Retriever
    augment: Callable[[Dialogue, str, int], Dialogue]

    def examples(self, records: Sequence[Record], stage: Stage) -> Examples:
        """Read and retrieve for all `records`, as their task's switches for `stage` say."""
        reading = [r for r in records if getattr(self.switches[r.task].ocr, stage)]
        lines = self.read_pictures([path for r in reading for path in r.images])
        asking = [r for r in records if getattr(self.switches[r.task].retrieval, stage) and query_text(r)]
        found = self.retriever.retrieve([query_text(r) for r in asking])
        return Examples(
            records=records,
            tasks=self.tasks,
            lines={r.id: tuple(lines[path] for path in r.images) for r in reading},
            passages={r.id: passages for r, passages in zip(asking, found, strict=True)},
            augment=self.augment if stage == "train" else None,
        )


@dataclass(frozen=True)
class Examples:
    """A sequence of examples that decodes and augments on access; safe to send to DataLoader workers."""

    records: Sequence[Record]
    tasks: Mapping[str, Task]
    lines: Mapping[str, tuple[Lines, ...]]
    passages: Mapping[str, tuple[Retrieved, ...]]
    augment: Callable[[Dialogue, str, int], Dialogue] | None

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: tuple[int, int]) -> Example:
        """Return record number `key[0]` in view `key[1]`."""
        index, view = key
        record = self.records[index]
        dialogue = Dialogue(record.turns, tuple(self._picture(record, path) for path in record.images))
        return Example(
            record=record,
            task=self.tasks[record.task],
            dialogue=self.augment(dialogue, record.id, view) if self.augment else dialogue,
            passages=self.passages.get(record.id, ()),
            lines=self.lines.get(record.id, ()),
        )

    @staticmethod
    def _picture(record: Record, path: Path) -> Image:
        try:
            return load_picture(path)
        except InputError as error:
            raise InputError(f"record {record.id!r}: {error}") from None


def query_text(record: Record) -> str:
    """Return what is asked of the knowledge base: the customer's last turns without picture markers."""
    turns = [t.text.replace(IMAGE_MARKER, " ").strip() for t in record.turns if t.role == "user"]
    return "\n".join([t for t in turns if t][-QUERY_TURNS:])
