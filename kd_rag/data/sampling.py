"""Which records each optimiser step sees.

The order is a function of (seed, epoch) and the position of the step alone, so a run that continues at step s sees
exactly what an uninterrupted one would have seen, whatever stopped it and wherever in an epoch.
"""

from __future__ import annotations

import dataclasses
import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass
class StepSampler:
    """Yield, for every step from `first_step` on, the `(record index, view)` pairs of this process.

    Each epoch sees every record once, in the next of `views` augmentations, or, with None, in a new one. The last
    step of an epoch may be smaller. With several processes each takes its share of the same step.

    With `weights`, one above 0 for each record, an epoch is as long but sees a record in proportion to its weight:
    `records * weight / sum(weights)` times on average, rounded up or down at random, each time in another view as long
    as there are views.

    With a `manifest` of `(record index, view)`, `records` and `weights` are those of its entries, and each stands for
    its own view.
    """

    records: int
    batch_size: int
    epochs: float
    seed: int
    max_steps: int | None = None
    views: int | None = None
    weights: Sequence[float] | None = None
    manifest: Sequence[tuple[int, int]] | None = None
    rank: int = 0
    processes: int = 1
    first_step: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one pass over the records."""
        return math.ceil(self.records / self.batch_size)

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        steps = math.ceil(self.epochs * self.steps_per_epoch)
        return steps if self.max_steps is None else min(steps, self.max_steps)

    def __len__(self) -> int:
        return self.total_steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.first_step, self.total_steps):
            epoch, position = divmod(step, self.steps_per_epoch)
            if position == 0 or step == self.first_step:
                order = self._epoch(epoch)
            chosen = order[position * self.batch_size : (position + 1) * self.batch_size]
            yield chosen[self.rank :: self.processes]

    def _epoch(self, epoch: int) -> list[tuple[int, int]]:
        """Return the pairs of a whole epoch in order."""
        rng = random.Random(f"{self.seed}/{epoch}")
        order = rng.sample(range(self.records), self.records)
        if self.weights is not None:
            order = _drawn(order, self.weights, rng)
        if self.manifest is not None:
            return [self.manifest[entry] for entry in order]
        met: Counter[int] = Counter()
        pairs = []
        for index in order:
            # A record's n-th place in an epoch continues where its views of all epochs end.
            again = met[index]
            view = epoch + again * math.ceil(self.epochs) if self.views is None else (epoch + again) % self.views
            pairs.append((index, view))
            met[index] += 1
        return pairs

    def pairs(self) -> list[tuple[int, int]]:
        """Return every `(record index, view)` that this process meets in the whole run, each once, sorted."""
        return sorted({pair for step in dataclasses.replace(self, first_step=0) for pair in step})


def _drawn(order: list[int], weights: Sequence[float], rng: random.Random) -> list[int]:
    """Return as many indices as `order` has, drawn in proportion to their weights, and shuffled.

    Drawn systematically: records lie one behind another, each as long as its weight, and are met by equidistant points.
    So a record's number is off its expectation by less than one, which independent draws are not.
    """
    ends = list(accumulate(weights[index] for index in order))
    gap, start = ends[-1] / len(order), rng.random()
    # The last point may be rounded to the very end, behind which nothing lies.
    met = (bisect_right(ends, (start + point) * gap) for point in range(len(order)))
    drawn = [order[min(place, len(order) - 1)] for place in met]
    rng.shuffle(drawn)
    return drawn
