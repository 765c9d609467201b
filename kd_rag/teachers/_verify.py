"""Which kept rows are computed again, and how far what was kept is from what the teacher says now.

Networks in few bits say something else of a record in another batch, and of outcomes that tie another one is then the
likeliest. So probabilities are compared, not stored numbers.
"""

from __future__ import annotations

import random
from typing import Generic, TypeVar

from torch import Tensor

from kd_rag.losses.divergences import total_variation
from kd_rag.losses.heads import with_rest
from kd_rag.losses.sides import Side
from kd_rag.teachers._rows import Kept
from kd_rag.types import IGNORED, Batch

T = TypeVar("T")


class Drawn(Generic[T]):
    """At most `size` of the items that it was offered, each as likely as any other (reservoir sampling)."""

    def __init__(self, size: int) -> None:
        self.items: list[T] = []
        self._size, self._offered = size, 0
        self._rng = random.Random()  # unseeded: every run looks at other rows

    def offer(self, item: T) -> None:
        """Take the item, or not."""
        self._offered += 1
        place = len(self.items) if len(self.items) < self._size else self._rng.randrange(self._offered)
        if place < self._size:
            self.items[place : place + 1] = [item]


def differences(found: Side, now: Side, batch: Batch, place: int, kept: Kept) -> dict[str, float]:
    """Return the total variation between two sides of the record at `place`, in its worst answer token and its labels.

    It is 0 where both give the same probabilities at the temperature of `kept`, and at most 1.
    """
    lengths = (batch.answers != IGNORED).sum(dim=1).tolist()
    rows = slice(sum(lengths[:place]), sum(lengths[: place + 1]))
    there, ids = found.answers.outcomes(rows, kept.vocabulary, kept.temperature)
    here = now.answers.outcomes(rows, kept.vocabulary, kept.temperature)[0].cpu()
    changes = {"an answer token": _change(there, here if ids is None else with_rest(here, ids))}
    if found.label_scores:
        labels = (side.label_scores[place].cpu().log_softmax(dim=0)[None] for side in (found, now))
        changes["the labels"] = _change(*labels)
    return changes


def _change(one: Tensor, other: Tensor) -> float:
    return total_variation(one, other).max().item()
