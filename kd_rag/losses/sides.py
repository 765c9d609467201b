"""What one model says about a batch: the student's side of a loss, or the teacher's.

In: states and scores that `scoring.readout` took from a model, or that a cache kept. Out: probabilities over the ids
that both sides share. The head runs here, on the rows it is asked for and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from kd_rag.losses.heads import log_probabilities
from kd_rag.types import InputError

Head = Callable[[Tensor], Tensor]
Outcomes = tuple[Tensor, Tensor | None]
"""Log-probabilities `[rows, outcomes]`, and the ids `[rows, outcomes - 1]` they belong to where the last outcome stands
for all other ids together; None where the outcomes are the ids themselves."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the terms of an objective read beside the answer rows: the scores of the task's labels, the outputs of some
    decoder layers (numbered from 0), the merged picture tokens."""

    labels: bool = False
    layers: tuple[int, ...] = ()
    pictures: bool = False


def together(needs: Iterable[Needs]) -> Needs:
    """Return what covers all of `needs`."""
    wanted = list(needs)
    layers = sorted({layer for need in wanted for layer in need.layers})
    return Needs(any(n.labels for n in wanted), tuple(layers), any(n.pictures for n in wanted))


@runtime_checkable
class AnswerRows(Protocol):
    """A model's view of the answer tokens of a batch."""

    def outcomes(self, rows: slice, vocabulary: int, temperature: float) -> Outcomes:
        """Return what the model expects at some of the answer rows, softened by `temperature`."""


@dataclass(frozen=True, slots=True)
class StateRows:
    """The last hidden states `[answers, dim]` of the answer rows and the head that reads them."""

    states: Float[Tensor, "answers dim"]
    head: Head

    def outcomes(self, rows: slice, vocabulary: int, temperature: float) -> Outcomes:
        """Return the log-probabilities of all `vocabulary` ids."""
        return log_probabilities(self.head(self.states[rows]), vocabulary, temperature), None


@dataclass(frozen=True, slots=True)
class TopRows:
    """The likeliest ids of each answer row and the mass of all others, at the one temperature it was kept for.

    `log_probs` is float32 `[answers, k + 1]`, `kept` int64 `[answers, k]`.
    """

    log_probs: Float[Tensor, "answers outcomes"]
    kept: Int[Tensor, "answers k"]
    temperature: float

    def outcomes(self, rows: slice, vocabulary: int, temperature: float) -> Outcomes:
        """Return the kept outcomes; raises InputError for another temperature, at which the rest's mass is unknown."""
        if temperature != self.temperature:
            raise InputError(f"these top-k targets hold for temperature {self.temperature}, not for {temperature}")
        return self.log_probs[rows], self.kept[rows]


@dataclass(frozen=True, slots=True)
class Side:
    """One model's outputs on a batch.

    `label_scores` has, for each record, float32 `[labels]` log-likelihoods, to each of which that of the reasons before
    the label is added; `hidden` maps a layer to its outputs at the answer rows `[answers, dim]`; `pictures` are the
    merged picture tokens `[tokens, dim]` of the batch. They are empty or None unless `Needs` asked for them.
    """

    answers: AnswerRows
    label_scores: tuple[Tensor, ...] = ()
    hidden: Mapping[int, Tensor] = field(default_factory=dict)
    pictures: Tensor | None = None
