"""The teacher runs beside the student, on every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch

from kd_rag.config import PromptParts
from kd_rag.losses.sides import Needs, Side
from kd_rag.scoring.readout import read
from kd_rag.teachers import ALL_PARTS, Inspect, Source
from kd_rag.types import Batch


class Online:
    """A frozen model, held outside any module tree so that no checkpoint ever carries it.

    `path` is a run folder, a model folder or a hub id; `prompt` what it is shown; `quantised` holds its weights in 8 or
    4 bits (bitsandbytes). Raises InputError when it speaks other token ids than the student.
    """

    beside_student = True

    def __init__(
        self,
        source: Source,
        *,
        path: str,
        prompt: PromptParts = ALL_PARTS,
        quantised: Literal["none", "8bit", "4bit"] = "none",
    ) -> None:
        self.prompt = prompt
        self.processor = source.checked_processor(path)
        self.model = source.load(path, quantised).eval().requires_grad_(False)
        self.state_size, self.layer_count = self.model.state_size, len(self.model.layers)
        self.trees = source.trees

    def prepare(self, batches: Callable[[], Iterable[Batch]], needs: Needs, inspect: Inspect) -> None:
        """Have the network inspected; nothing is computed before the first step."""
        inspect(self.model)

    @torch.no_grad()
    def __call__(self, batch: Batch, needs: Needs) -> Side:
        """Return the teacher's side of a batch."""
        side, _ = read(self.model, batch, needs, self.trees)
        return side

    def to(self, device: torch.device) -> None:
        """Move the teacher's weights."""
        self.model.to(device)
