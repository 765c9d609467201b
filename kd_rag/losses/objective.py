"""What a training run minimises: a weighted sum of terms, each a mean over the whole optimiser step.

In: both sides of a micro-batch, and the counts of the step. Out: `{"loss": …, "ce": …, …}`, the micro-batch's share of
each mean; shares of all micro-batches and processes add up to what one big batch would give, where a mean
of means would weigh a token by the company it is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kd_rag.losses.sides import Needs, Outcomes, Side, StateRows, together
from kd_rag.losses.terms import Label, RowTerm, SideTerm
from kd_rag.types import IGNORED, Batch

CHUNK_ROWS = 256
"""Answer rows whose logits exist at a time: 256 rows of 152k logits are 156 MB in float32."""

Weight = tuple[float, float]
"""A term's weight at the first and at the last step; it moves linearly in between."""


@runtime_checkable
class Teacher(Protocol):
    """Where the teacher's side of the loss comes from; see `kd_rag.teachers`."""

    def __call__(self, batch: Batch, needs: Needs) -> Side:
        """Return the teacher's side of a batch, without gradients."""

    def to(self, device: torch.device) -> None:
        """Move what it holds."""


class Objective(nn.Module):
    """A weighted sum of named terms; the teacher stays outside the module tree, or every checkpoint would carry it.

    `part_weights` multiply the row terms at an answer's reasons and at its label.
    """

    def __init__(
        self,
        rows: Mapping[str, RowTerm],
        sides: Mapping[str, SideTerm],
        weights: Mapping[str, Weight],
        vocabulary: int,
        teacher: Teacher | None = None,
        part_weights: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.rows = dict(rows)
        self.sides = dict(sides)
        self.projections = nn.ModuleDict({name: t for name, t in sides.items() if isinstance(t, nn.Module)})
        self.weights = dict(weights)
        self.teacher = teacher
        self.part_weights = part_weights
        self.needs = together(term.needs for term in sides.values())
        self.teacher_needs = together(term.teacher_needs for term in sides.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the terms."""
        return (*self.rows, *self.sides)

    def counts(self, batch: Batch) -> Int[Tensor, " terms"]:
        """Return how many tokens or records each term adds up over in `batch`, in the order of the terms."""
        terms: list[RowTerm | SideTerm] = [*self.rows.values(), *self.sides.values()]
        return torch.tensor([term.count(batch) for term in terms])

    def forward(
        self, batch: Batch, targets: Int[Tensor, " answers"], student: Side, counts: Tensor, progress: float
    ) -> dict[str, Tensor]:
        """Return the micro-batch's share of each term's mean and of the `loss` to descend.

        `targets` are the answer tokens, `counts` those of the whole step, `progress` its place in the run in [0, 1].
        """
        teacher = self.teacher(batch.as_teacher(), self.teacher_needs) if self.teacher else None
        sums = self._row_sums(batch, targets, student, teacher)
        for name, term in self.sides.items():
            assert teacher is not None
            sums[name] = term(student, teacher)
        shares = {name: total / count.clamp(min=1) for (name, total), count in zip(sums.items(), counts, strict=True)}
        return {"loss": torch.stack([self.weight(n, progress) * s for n, s in shares.items()]).sum(), **shares}

    def weight(self, name: str, progress: float) -> float:
        """Return a term's weight at `progress` in [0, 1]."""
        first, last = self.weights[name]
        return first + (last - first) * progress

    def _row_sums(
        self, batch: Batch, targets: Int[Tensor, " answers"], student: Side, teacher: Side | None
    ) -> dict[str, Tensor]:
        """Return the row terms' sums; long answers go through the head in chunks that the backward pass makes anew."""
        assert isinstance(student.answers, StateRows)
        terms = [term if term.count(batch) else None for term in self.rows.values()]
        states, head = student.answers.states, student.answers.head
        importance, labels = row_weights(batch, self.part_weights).to(states.device), row_labels(batch)

        def chunk(states: Float[Tensor, "rows dim"], targets: Int[Tensor, " rows"], rows: slice) -> Tensor:
            logits = head(states)
            soft = partial(teacher.answers.outcomes, rows, self.vocabulary) if teacher else _no_teacher
            nothing = logits.new_zeros(())
            # No inner product: autocast would round its sum to bfloat16.
            values = [
                (importance[rows] * t(logits, targets, labels[rows], soft)).sum() if t else nothing for t in terms
            ]
            return torch.stack(values)

        if len(targets) <= CHUNK_ROWS:
            sums = chunk(states, targets, slice(0, len(targets)))
        else:
            starts = range(0, len(targets), CHUNK_ROWS)
            slices = [slice(start, start + CHUNK_ROWS) for start in starts]
            sums = torch.stack(
                [
                    checkpoint(chunk, states[s], targets[s], s, use_reentrant=False, preserve_rng_state=False)
                    for s in slices
                ]
            ).sum(dim=0)
        return dict(zip(self.rows, sums, strict=True))


def row_weights(batch: Batch, parts: tuple[float, float]) -> Float[Tensor, " answers"]:
    """Return the float32 weight of each answer row: that of its part of the answer, reasons or label."""
    answered = batch.answers != IGNORED
    of_reasons, of_labels = torch.tensor(parts)
    place = torch.arange(answered.shape[1], device=answered.device)
    in_reasons = place < (0 if batch.reason_tokens is None else batch.reason_tokens[:, None])
    return torch.where(in_reasons, of_reasons, of_labels).expand_as(answered)[answered]


def row_labels(batch: Batch) -> list[Label]:
    """Return the task and label of each answer row's record."""
    lengths = (batch.answers != IGNORED).sum(dim=1).tolist()
    return [
        (example.record.task, example.record.label)
        for example, length in zip(batch.examples, lengths, strict=True)
        for _ in range(length)
    ]


def _no_teacher(temperature: float) -> Outcomes:
    raise AssertionError("this term needs a teacher")
