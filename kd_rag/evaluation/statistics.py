"""How far a score may move by chance: the bootstrap (Efron 1979) over records, Welch's t (1947) over seeds.

In: gold and predicted labels, or the scores of runs. Out: the ends of a 95% interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student_t

CONFIDENCE = 0.95
Interval = tuple[float, float]


def bootstrap_f1(
    gold: Sequence[str], predicted: Sequence[str], samples: int, seed: int
) -> tuple[Interval, dict[str, Interval]]:
    """Return the 95% percentile interval of the weighted F1, and of the F1 of each label that occurs.

    Records with the same gold and predicted label are interchangeable, so drawing n of n records with
    replacement is a multinomial draw over the cells of the confusion matrix: the cost is `samples` times the
    cells in use, whatever n is, and the order of the records does not matter.
    """
    assert len(gold) == len(predicted) > 0, f"{len(gold)} gold labels for {len(predicted)} predictions"
    labels = sorted({*gold, *predicted})
    cells, counts = np.unique(np.array([gold, predicted]), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(gold), counts / len(gold), size=samples)
    is_gold, is_predicted = (cells[side][:, None] == np.array(labels) for side in (0, 1))
    counted = draws @ is_gold, draws @ is_predicted, draws @ (is_gold & is_predicted)
    tail = 50 * (1 - CONFIDENCE)
    columns = np.column_stack([weighted_f1(*counted), _f1(*counted)])
    ends = np.percentile(columns, [tail, 100 - tail], axis=0).T.tolist()
    weighted, *each = ((low, high) for low, high in ends)
    return weighted, dict(zip(labels, each, strict=True))


def weighted_f1(
    support: Int[np.ndarray, "samples labels"],
    claimed: Int[np.ndarray, "samples labels"],
    hits: Int[np.ndarray, "samples labels"],
) -> Float[np.ndarray, " samples"]:
    """Return each resample's F1 of the labels, averaged with the support as weight."""
    f1 = _f1(support, claimed, hits)
    return (support * f1).sum(axis=1) / support.sum(axis=1)  # type: ignore[no-any-return]


def _f1(
    support: Int[np.ndarray, "samples labels"],
    claimed: Int[np.ndarray, "samples labels"],
    hits: Int[np.ndarray, "samples labels"],
) -> Float[np.ndarray, "samples labels"]:
    """Return F1 = 2 hits / (support + claimed), 0 for a label that a resample has in neither."""
    return 2 * hits / np.maximum(support + claimed, 1)  # type: ignore[no-any-return]


def welch(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " m"]) -> tuple[float, float, float]:
    """Return the ends of the 95% interval of mean(second) - mean(first), and the two-sided p that it is 0.

    One side at least has two values; a side of a single one is taken to vary as the other does, with the other's
    degrees of freedom. Values that do not vary at all leave no doubt.
    """
    sides = (first, second)
    spreads = [side.var(ddof=1) for side in sides if len(side) > 1]
    shares = [(side.var(ddof=1) if len(side) > 1 else spreads[0]) / len(side) for side in sides]
    difference, error = float(second.mean() - first.mean()), math.sqrt(sum(shares))
    if error == 0:
        return difference, difference, float(difference == 0)
    if len(spreads) == 1:
        freedom = max(map(len, sides)) - 1
    else:
        freedom = sum(shares) ** 2 / sum(share**2 / (len(side) - 1) for share, side in zip(shares, sides, strict=True))
    reach = student_t.ppf((1 + CONFIDENCE) / 2, freedom) * error
    return difference - reach, difference + reach, float(2 * student_t.sf(abs(difference) / error, freedom))
