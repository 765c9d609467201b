"""What a training run minimises, as sums over the answer tokens of a micro-batch.

In: a batch and the student's logits at its answer rows. Out: `{"loss": …, "ce": …, …}`, each a sum in nats;
the training module divides by the answer tokens of the whole optimiser step, so that a step in many
micro-batches or processes equals one big batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import nll_loss

from kd_rag.losses.heads import log_probabilities
from kd_rag.types import Batch

Divergence = Callable[[Tensor, Tensor], Tensor]


class Objective(Protocol):
    """A loss that the training module is given."""

    def __call__(
        self, batch: Batch, logits: Float[Tensor, "answers rows"], targets: Int[Tensor, " answers"]
    ) -> dict[str, Tensor]:
        """Return named sums over the answers; `loss` is the one to descend."""

    def to(self, device: torch.device) -> None:
        """Move what the objective holds (a teacher) to `device`."""


class CrossEntropy:
    """-log q(gold token), the supervised objective."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def __call__(
        self, batch: Batch, logits: Float[Tensor, "answers rows"], targets: Int[Tensor, " answers"]
    ) -> dict[str, Tensor]:
        """Return `loss` and `ce` (the same)."""
        ce = nll_loss(log_probabilities(logits, self.vocabulary), targets, reduction="sum")
        return {"loss": ce, "ce": ce}

    def to(self, device: torch.device) -> None:
        """Hold nothing, move nothing."""


class Distillation:
    """(1 - weight) * cross-entropy + weight * T^2 * divergence at temperature T (Hinton et al. 2015).

    T^2 keeps the divergence's gradient of one size while T changes: softening scales it by 1/T^2.
    """

    def __init__(
        self, teacher: Teacher, divergence: Divergence, *, temperature: float, weight: float, vocabulary: int
    ) -> None:
        self.teacher = teacher
        self.divergence = divergence
        self.temperature = temperature
        self.weight = weight
        self.vocabulary = vocabulary

    def __call__(
        self, batch: Batch, logits: Float[Tensor, "answers rows"], targets: Int[Tensor, " answers"]
    ) -> dict[str, Tensor]:
        """Return `loss`, `ce` and `kd` (the divergence times T^2)."""
        ce = nll_loss(log_probabilities(logits, self.vocabulary), targets, reduction="sum")
        teacher, student = (
            log_probabilities(side, self.vocabulary, self.temperature) for side in (self.teacher.logits(batch), logits)
        )
        kd = self.temperature**2 * self.divergence(teacher, student).sum()
        return {"loss": (1 - self.weight) * ce + self.weight * kd, "ce": ce, "kd": kd}

    def to(self, device: torch.device) -> None:
        """Move the teacher."""
        self.teacher.to(device)


class Teacher(Protocol):
    """Where the teacher's side of the loss comes from; see `kd_rag.teachers`."""

    def logits(self, batch: Batch) -> Float[Tensor, "answers rows"]:
        """Return the teacher's logits at the batch's answer rows."""

    def to(self, device: torch.device) -> None:
        """Move the teacher's weights."""
