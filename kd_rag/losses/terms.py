"""The terms of an objective: each compares the student with the gold answer or with the teacher, and adds up.

A term's value is a sum in nats (or in the unit it names) over what it counts: answer tokens, records or picture
tokens. Sums, not means: the objective divides by the counts of the whole optimiser step. Row terms read logits at the
answer rows, chunk by chunk; the others read the rest of a `Side`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from kd_rag.losses.heads import log_probabilities, with_rest
from kd_rag.losses.sides import Needs, Outcomes, Side
from kd_rag.types import IGNORED, Batch

Divergence = Callable[[Tensor, Tensor], Tensor]
Logits = Float[Tensor, "answers rows"]
Distance = Literal["cosine", "mse"]
Label = tuple[str, str | None]
"""Task and label of a record."""


@runtime_checkable
class RowTerm(Protocol):
    """A term that is a sum over answer rows."""

    def count(self, batch: Batch) -> int:
        """Return how many tokens it adds up over."""

    def __call__(
        self,
        logits: Logits,
        targets: Int[Tensor, " answers"],
        labels: Sequence[Label],
        teacher: Callable[[float], Outcomes],
    ) -> Float[Tensor, " answers"]:
        """Return the value of some rows, whose records have `labels`.

        `teacher(temperature)` gives the teacher's outcomes there.
        """


@runtime_checkable
class SideTerm(Protocol):
    """A term that reads more of both sides than the answer rows' logits."""

    needs: Needs
    """What it reads of the student."""
    teacher_needs: Needs
    """What it reads of the teacher."""

    def count(self, batch: Batch) -> int:
        """Return how many records or tokens it adds up over."""

    def __call__(self, student: Side, teacher: Side) -> Tensor:
        """Return the sum over the batch."""


class TokenKD:
    """T^2 times a divergence between teacher and student at temperature T, token by token (Hinton et al. 2015).

    T^2 keeps the gradient of one size while T changes: softening scales it by 1/T^2.
    """

    def __init__(self, divergence: Divergence, temperature: float, vocabulary: int) -> None:
        self.divergence = divergence
        self.temperature = temperature
        self.vocabulary = vocabulary

    def count(self, batch: Batch) -> int:
        """Return the number of answer tokens."""
        return answer_tokens(batch)

    def __call__(
        self,
        logits: Logits,
        targets: Int[Tensor, " answers"],
        labels: Sequence[Label],
        teacher: Callable[[float], Outcomes],
    ) -> Float[Tensor, " answers"]:
        """Return each row's value in nats; where the teacher kept few ids, over these and the rest as one outcome."""
        expected, kept = teacher(self.temperature)
        student = log_probabilities(logits, self.vocabulary, self.temperature)
        if kept is not None:
            student = with_rest(student, kept)
        return self.temperature**2 * self.divergence(expected, student)


class LabelKD:
    """T^2 times a divergence between the posteriors over the task's labels at temperature T, record by record.

    The posteriors are softmaxes over the exact log-likelihoods that the label tree gives in one pass: what evaluation
    reads, and all that a classifier needs to learn from its teacher.
    """

    needs = teacher_needs = Needs(labels=True)

    def __init__(self, divergence: Divergence, temperature: float) -> None:
        self.divergence = divergence
        self.temperature = temperature

    def count(self, batch: Batch) -> int:
        """Return the number of records."""
        return len(batch.examples)

    def __call__(self, student: Side, teacher: Side) -> Tensor:
        """Return the sum over records in nats."""
        pairs = zip(teacher.label_scores, student.label_scores, strict=True)
        posteriors = ([(scores / self.temperature).log_softmax(0)[None] for scores in pair] for pair in pairs)
        return self.temperature**2 * torch.stack([self.divergence(*pair).sum() for pair in posteriors]).sum()


class HiddenStates(nn.Module):
    """Distance between decoder layers at the answer rows, after a learned projection (FitNets, Romero et al. 2015).

    `layers` maps a student's layer to the teacher's that it follows; the mean over these pairs is summed over tokens.
    """

    def __init__(
        self, layers: Mapping[int, int], student_size: int, teacher_size: int, distance: Distance = "cosine"
    ) -> None:
        super().__init__()
        self.layers = dict(layers)
        self.distance: Distance = distance
        self.projections = nn.ModuleList(nn.Linear(student_size, teacher_size, bias=False) for _ in layers)
        self.needs = Needs(layers=tuple(self.layers))
        self.teacher_needs = Needs(layers=tuple(self.layers.values()))

    def count(self, batch: Batch) -> int:
        """Return the number of answer tokens."""
        return answer_tokens(batch)

    def forward(self, student: Side, teacher: Side) -> Tensor:
        """Return the sum; `cosine` is 1 - cos, `mse` the mean squared difference over dimensions."""
        pairs = zip(self.projections, self.layers.items(), strict=True)
        far = [
            distances(projection(student.hidden[own].float()), teacher.hidden[other].float(), self.distance)
            for projection, (own, other) in pairs
        ]
        return torch.stack(far).mean(dim=0).sum()


class VisualTokens(nn.Module):
    """Distance between the merged picture tokens of both vision towers, after a learned projection.

    Teacher and student cut pictures by the same 14-pixel grid and merge patches alike, so token i shows the same
    28 x 28 pixels on both sides and no attention map is needed to pair them.
    """

    needs = teacher_needs = Needs(pictures=True)

    def __init__(self, student_size: int, teacher_size: int, distance: Distance = "cosine") -> None:
        super().__init__()
        self.distance: Distance = distance
        self.projection = nn.Linear(student_size, teacher_size, bias=False)

    def count(self, batch: Batch) -> int:
        """Return the number of merged picture tokens."""
        return int(batch.inputs.mm_token_type_ids.sum())

    def forward(self, student: Side, teacher: Side) -> Tensor:
        """Return the sum over tokens; 0 for a batch without pictures."""
        if student.pictures is None or teacher.pictures is None:
            return self.projection.weight.new_zeros(())
        projected = self.projection(student.pictures.float())
        return distances(projected, teacher.pictures.float(), self.distance).sum()


def distances(one: Tensor, other: Tensor, distance: Distance) -> Float[Tensor, " rows"]:
    """Return the distance of each row of `one` from that of `other`."""
    if distance == "cosine":
        return 1 - cosine_similarity(one, other, dim=-1)
    return (one - other).square().mean(dim=-1)


def answer_tokens(batch: Batch) -> int:
    """Return the number of answer tokens of a batch."""
    return int((batch.answers != IGNORED).sum())
