"""Whether one model is better than another on the same records: bootstrap, Welch's t, McNemar.

In: the predictions of two models, one list for each seed. Out: the difference of their weighted F1 with its 95%
interval and p, for each task and the average. The bootstrap over records is paired (Efron 1979), as is McNemar's exact
test (1947); Welch's t (1947) is over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from kd_rag.evaluation.metrics import AVERAGE
from kd_rag.evaluation.predictions import Prediction
from kd_rag.evaluation.resampling import Resampled, average_of, draw_runs, resample
from kd_rag.evaluation.statistics import CONFIDENCE, welch

Seeds = Sequence[Sequence[Prediction]]
"""The predictions of one model, from one run for each seed."""
Records = Mapping[str, Prediction]
"""One run's predictions on the records of one task, by id."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much better the second model is than the first on one task, or on the average of the tasks.

    `difference` is that of the weighted F1, in [-1, 1], of means over the seeds. `low` and `high` end its 95%
    interval, and `p` is two-sided: of a bootstrap, and where a model has several seeds the outer ends and the larger p
    of the bootstrap and of Welch's t over the runs. `only_first` and `only_second` count the records that one model
    alone has right, by the commonest answer of its runs (of equals the first); `mcnemar_p` is of these counts.
    """

    difference: float
    low: float
    high: float
    p: float
    only_first: int
    only_second: int
    mcnemar_p: float

    @property
    def verdict(self) -> str:
        """`better` or `worse` for the second model, `within noise` where the interval holds 0."""
        if self.low <= 0 <= self.high:
            return "within noise"
        return "better" if self.low > 0 else "worse"


@dataclass(frozen=True, slots=True)
class Compared:
    """Two models side by side: `found` by task and, where all of several tasks are there, the average; `left_out` says
    by task why it was not compared."""

    found: Mapping[str, Comparison]
    left_out: Mapping[str, str]


def compare(first: Seeds, second: Seeds, samples: int, seed: int) -> Compared:
    """Compare two models task by task, whatever the order in the files; a task whose records or gold labels are not the
    same in all runs is left out.

    A resample draws records, the same for both models, and with several runs also these: n - 1 of n, as the mean of n
    drawn ones varies too little (Davison and Hinkley 1997). A run is drawn with all of its tasks.
    """
    assert min(len(first), len(second)) > 0, "a model has at least one run"
    models = [[_by_task(run) for run in model] for model in (first, second)]
    rng = np.random.default_rng(seed)
    drawn = [draw_runs(len(model), samples, rng) for model in models]
    resampled, left_out = {}, {}
    for task in dict.fromkeys(task for model in models for run in model for task in run):
        one, other = ([run.get(task, {}) for run in model] for model in models)
        why = next(filter(None, (_mismatch(one[0], run) for run in (*one, *other))), None)
        if why:
            left_out[task] = why
            continue
        ids = sorted(one[0])
        gold = [str(one[0][i].label) for i in ids]
        ours, theirs = ([[run[i].predicted for i in ids] for run in model] for model in (one, other))
        resampled[task] = resample(gold, ours, theirs, drawn, rng)
    if len(resampled) > 1 and not left_out:
        resampled[AVERAGE] = average_of(list(resampled.values()))
    return Compared({name: _concluded(found) for name, found in resampled.items()}, left_out)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p of McNemar's test: of n records that one model alone has right, half are each's."""
    n = only_first + only_second
    return float(binomtest(only_first, n, 0.5).pvalue) if n else 1.0


def _concluded(found: Resampled) -> Comparison:
    """Return what the resampled differences say.

    The bootstrap's p is twice the smaller share of them on one side of 0, with 1 added to count and total (Davison and
    Hinkley 1997), and no larger than 1.
    """
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(found.differences, [tail, 100 - tail])
    beyond = min((found.differences <= 0).sum(), (found.differences >= 0).sum())
    p = min(1.0, float(2 * (beyond + 1) / (len(found.differences) + 1)))
    if len(found.first) + len(found.second) > 2:
        by_seeds = welch(found.first, found.second)
        # Of two seeds t knows so little that its ends may lie where no difference can be.
        low, high, p = min(low, max(-1, by_seeds[0])), max(high, min(1, by_seeds[1])), max(p, by_seeds[2])
    return Comparison(
        difference=float(found.second.mean() - found.first.mean()),
        low=float(low),
        high=float(high),
        p=p,
        only_first=found.only_first,
        only_second=found.only_second,
        mcnemar_p=mcnemar(found.only_first, found.only_second),
    )


def _by_task(run: Sequence[Prediction]) -> dict[str, dict[str, Prediction]]:
    found: dict[str, dict[str, Prediction]] = {}
    for prediction in run:
        found.setdefault(prediction.task, {})[prediction.id] = prediction
    return found


def _mismatch(reference: Records, run: Records) -> str | None:
    """Return in which record two runs differ, None where they have the same."""
    for i in [*reference, *run]:
        if i not in reference or i not in run:
            return f"record {i!r} was not scored in all runs"
        if reference[i].label != run[i].label:
            return f"record {i!r} is labelled {reference[i].label!r} in one run and {run[i].label!r} in another"
    return None
