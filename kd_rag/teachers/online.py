"""The teacher runs beside the student: its logits at the answer rows of every batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from kd_rag.losses.heads import answer_rows
from kd_rag.models import VisionLanguageModel
from kd_rag.types import Batch, InputError


class Online:
    """A frozen model, held outside any module tree so that no checkpoint ever carries it.

    `load(path)` opens a run folder, a model folder or a hub id; `student_ids` is the digest of the student's id table:
    a teacher that gives any id another meaning is refused.
    """

    def __init__(self, load: Callable[[str], VisionLanguageModel], student_ids: str, *, path: str) -> None:
        self.model = load(path).eval().requires_grad_(False)
        if self.model.processor.id_digest() != student_ids:
            raise InputError(
                f"teacher {path}: its tokenizer gives some ids another meaning than the student's; "
                "distilling logits needs one tokenizer"
            )

    @torch.no_grad()
    def logits(self, batch: Batch) -> Float[Tensor, "answers rows"]:
        """Return the teacher's logits at the batch's answer rows."""
        rows, _ = answer_rows(self.model(batch.inputs), batch.labels)
        return self.model.logits(rows)

    def to(self, device: torch.device) -> None:
        """Move the teacher's weights."""
        self.model.to(device)
