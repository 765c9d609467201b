"""Whether one model is better than another on the same records: a paired bootstrap and McNemar's exact test.

In: the predictions of two models, one list for each seed. Out: the difference of their weighted F1 with its 95%
interval and p, for each task. Sources: Efron 1979 for the bootstrap, McNemar 1947 for the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import binomtest

from kd_rag.evaluation.predictions import Prediction
from kd_rag.evaluation.statistics import CONFIDENCE, weighted_f1
from kd_rag.types import InputError

Seeds = Sequence[Sequence[Prediction]]
"""The predictions of one model, from one run for each seed."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much better the second model is than the first on one task.

    `difference` is that of the weighted F1, in [-1, 1], of means over the seeds; `low` and `high` end its 95%
    interval. `p` is the two-sided p of the bootstrap. `only_first` and `only_second` count the answers that one model
    alone has right, over pairs of runs (the first seeds of both, the second ones, …); `mcnemar_p` is of these counts
    and None with several seeds, whose answers to one record are not independent.
    """

    difference: float
    low: float
    high: float
    p: float
    only_first: int
    only_second: int
    mcnemar_p: float | None

    @property
    def verdict(self) -> str:
        """`better` or `worse` for the second model, `within noise` where the interval holds 0."""
        if self.low <= 0 <= self.high:
            return "within noise"
        return "better" if self.low > 0 else "worse"


def compare(first: Seeds, second: Seeds, samples: int, seed: int) -> dict[str, Comparison]:
    """Compare two models task by task on the records that all their runs share, whatever the order in the files.

    A resample draws records, the same for both models, and with several runs their seeds too. Raises InputError naming
    the first record that one run has and another has not, or whose gold label differs.
    """
    assert min(len(first), len(second)) > 0, "a model has at least one run"
    reference = _by_record(first[0])
    tables = [[_aligned(reference, run) for run in model] for model in (first, second)]
    found = {}
    for task in dict.fromkeys(task for task, _ in reference):
        keys = [key for key in sorted(reference) if key[0] == task]
        gold = [str(reference[key].label) for key in keys]
        one, other = ([[table[key].predicted for key in keys] for table in model] for model in tables)
        found[task] = compare_task(gold, one, other, samples, seed)
    return found


def compare_task(
    gold: Sequence[str], first: Sequence[Sequence[str]], second: Sequence[Sequence[str]], samples: int, seed: int
) -> Comparison:
    """Compare the labels that two models predicted; `first` and `second` hold one list a seed, in the order of `gold`.

    The bootstrap's p is twice the smaller share of resampled differences on one side of 0, with 1 added to count and
    total (Davison and Hinkley 1997), and no larger than 1.
    """
    labels = np.array(sorted({*gold, *(p for run in (*first, *second) for p in run)}))
    truth = np.searchsorted(labels, gold)
    one, other = (np.searchsorted(labels, np.array(model)) for model in (first, second))
    cells = [truth * len(labels) + model for model in (one, other)]
    ours, theirs = (_mean_f1(np.array([[_tally(run, len(labels)) for run in model]])) for model in cells)
    observed = float(theirs[0] - ours[0])
    rng = np.random.default_rng(seed)
    tallies: tuple[list[Any], list[Any]] = ([], [])
    for _ in range(samples):
        records = rng.integers(len(truth), size=len(truth))
        for model, found in zip(cells, tallies, strict=True):
            runs = model[rng.integers(len(model), size=len(model))] if len(model) > 1 else model
            found.append([_tally(run[records], len(labels)) for run in runs])
    ours, theirs = (_mean_f1(np.array(found)) for found in tallies)
    differences = theirs - ours
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(differences, [tail, 100 - tail])
    beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    only_first, only_second = _discordant(truth, one, other)
    single = len(one) == len(other) == 1
    return Comparison(
        difference=observed,
        low=float(low),
        high=float(high),
        p=min(1.0, float(2 * (beyond + 1) / (samples + 1))),
        only_first=only_first,
        only_second=only_second,
        mcnemar_p=mcnemar(only_first, only_second) if single else None,
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p of McNemar's test: of n records that one model alone has right, half are each's."""
    n = only_first + only_second
    return float(binomtest(only_first, n, 0.5).pvalue) if n else 1.0


def _tally(cells: Int[np.ndarray, " n"], labels: int) -> Int[np.ndarray, "3 labels"]:
    """Count each label's records, answers and right answers; a record's cell is its gold column times `labels` plus the
    predicted one, so that one pass over the records counts all three."""
    confusion = np.bincount(cells, minlength=labels * labels).reshape(labels, labels)
    return np.stack([confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()])


def _mean_f1(tallies: Int[np.ndarray, "samples seeds 3 labels"]) -> Float[np.ndarray, " samples"]:
    """Return the weighted F1 of each resample, averaged over the seeds."""
    samples, seeds, _, labels = tallies.shape
    support, claimed, hits = np.moveaxis(tallies, 2, 0).reshape(3, samples * seeds, labels)
    return weighted_f1(support, claimed, hits).reshape(samples, seeds).mean(axis=1)  # type: ignore[no-any-return]


def _discordant(
    truth: Int[np.ndarray, " n"], one: Int[np.ndarray, "seeds n"], other: Int[np.ndarray, "others n"]
) -> tuple[int, int]:
    pairs = min(len(one), len(other))
    ours, theirs = one[:pairs] == truth, other[:pairs] == truth
    return int((ours & ~theirs).sum()), int((theirs & ~ours).sum())


def _by_record(run: Sequence[Prediction]) -> dict[tuple[str, str], Prediction]:
    return {(prediction.task, prediction.id): prediction for prediction in run}


def _aligned(
    reference: dict[tuple[str, str], Prediction], run: Sequence[Prediction]
) -> dict[tuple[str, str], Prediction]:
    """Return `run` by record, or raise InputError naming the first record in which it differs from `reference`."""
    found = _by_record(run)
    for key in [*reference, *found]:
        if key not in reference or key not in found:
            side = "second" if key not in reference else "first"
            raise InputError(
                f"record {key[1]!r} of task {key[0]!r} is in the {side} run only; compare the same records"
            )
        if reference[key].label != found[key].label:
            labels = f"{reference[key].label!r} in one run and {found[key].label!r} in the other"
            raise InputError(f"record {key[1]!r} of task {key[0]!r} is labelled {labels}; compare the same records")
    return found
