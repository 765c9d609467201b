"""Teachers (a family): where the teacher's side of the loss comes from.

In: a batch as the teacher reads it. Out: its `Side`, without gradients. A member is a class `(source, *, path, …)` with
the interface of `Teacher`; it opens the model that `path` names through `source`, when it needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from kd_rag.config import PromptParts
from kd_rag.losses.sides import Needs, Side
from kd_rag.models import Processor, VisionLanguageModel
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.types import Batch, InputError

ALL_PARTS = PromptParts()

Inspect = Callable[[VisionLanguageModel], None]
"""Raises InputError about a network that should teach nobody; may move it to another device."""


@dataclass(frozen=True)
class Source:
    """How a teacher opens what its `path` names, and what it must know of the student.

    `load(path, quantised)` opens a run folder, a model folder or a hub id; `processor(path)` tells what reads its
    prompts and `identity(path, quantised)` what names its weights as they are held, without loading them. `student_ids`
    is the digest of the student's id table, `trees` the label tree of each task, `temperature` that of the token terms,
    and `device` where a teacher is to run before training.
    """

    load: Callable[[str, str], VisionLanguageModel]
    processor: Callable[[str], Processor]
    identity: Callable[[str, str], Mapping[str, str]]
    student_ids: str
    trees: Mapping[str, LabelTree]
    temperature: float
    cache_dir: Path
    device: torch.device

    def checked_processor(self, path: str) -> Processor:
        """Return the teacher's processor; raises InputError when it gives any id another meaning than the student's."""
        processor = self.processor(path)
        if processor.id_digest() != self.student_ids:
            raise InputError(
                f"teacher {path}: its tokenizer gives some ids another meaning than the student's; "
                "distilling logits needs one tokenizer"
            )
        return processor


@runtime_checkable
class Teacher(Protocol):
    """The teacher's side of every batch."""

    prompt: PromptParts
    """What its prompts show."""
    processor: Processor
    beside_student: bool
    """Its network runs in every step: any layer, and answers that are new, can be read."""
    state_size: int
    """Dimensions of its states."""
    layer_count: int
    """Decoder layers that can be read."""

    def prepare(self, batches: Callable[[], Iterable[Batch]], needs: Needs, inspect: Inspect) -> None:
        """Do before training what can be done once; `batches()` yields every batch that training will bring.

        `inspect` gets the network once it is loaded, before anything that it says is kept.
        """

    def __call__(self, batch: Batch, needs: Needs) -> Side:
        """Return the teacher's side of a batch."""

    def to(self, device: torch.device) -> None:
        """Move what it holds to `device`."""
