"""Which records each optimiser step sees.

The order is a function of (seed, epoch) and the position of the step alone, so a run that continues at step s sees
exactly what an uninterrupted one would have seen, whatever stopped it and wherever in an epoch.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class StepSampler:
    """Yield, for every step from `first_step` on, the `(record index, view)` pairs of this process.

    Each epoch sees every record once, in the next of `views` augmentations, or, with None, in a new one. The last
    step of an epoch may be smaller. With several processes each takes its share of the same step.
    """

    records: int
    batch_size: int
    epochs: float
    seed: int
    max_steps: int | None = None
    views: int | None = None
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
            order = random.Random(f"{self.seed}/{epoch}").sample(range(self.records), self.records)
            chosen = order[position * self.batch_size : (position + 1) * self.batch_size]
            view = epoch if self.views is None else epoch % self.views
            yield [(index, view) for index in chosen[self.rank :: self.processes]]

    def pairs(self) -> list[tuple[int, int]]:
        """Return every `(record index, view)` that this process meets in the whole run, each once, sorted."""
        return sorted({pair for step in dataclasses.replace(self, first_step=0) for pair in step})
