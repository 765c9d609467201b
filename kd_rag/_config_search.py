"""The `ablation.search` section: values of some keys that `ablate` looks for, trial by trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class SearchConfig:
    """Trials of the base variant with other values; an empty `space` makes none. Needs the extra `search`."""

    space: dict[str, Any] = field(default_factory=dict)
    """By dotted key, a list of choices, or a range `{low: 1.0e-5, high: 1.0e-3, log: true}`. A range has whole numbers
    where its numbers are whole; `step` makes it a row of numbers."""
    trials: int = 20
    startup: int = 5
    """Trials drawn at random before the sampler learns from them and before one may be pruned."""
    sampler: str = "tpe"
    """`tpe` (tree-structured Parzen estimator, Bergstra et al. 2011) or `random`."""
    prune: str = "median"
    """`median` stops a trial whose best score on valid is below the median of those before it after as many evaluations
    (`trainer.val_check_interval`), of the first seed; `none` lets all end."""
    metric: str = "average"
    """A task, or `average`: the score on valid of the best checkpoint, as a mean over the seeds, is what trials are
    chosen by. `ablation.split` is only shown, so that a test split chooses nothing."""
    seed: int = 0
    """Seed of the sampler."""
