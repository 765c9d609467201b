"""Whether a model's sureness can be believed, and how to mend it: temperature scaling, reliability, abstention.

In: gold columns and label probabilities of one task. Out: plain JSON numbers for `metrics.json`. Temperature scaling
and the expected calibration error follow Guo et al. 2017 (On Calibration of Modern Neural Networks).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from kd_rag.evaluation.metrics import ECE_BINS, by_task, calibration_error, log_loss
from kd_rag.evaluation.predictions import Prediction

COVERAGES = (50, 80, 90, 95, 100)
"""Percent of the records that are answered, the surest first."""
TEMPERATURES = (0.05, 20.0)
"""Bounds of the search: the likelihood of a split with no mistake grows without end as the temperature falls to 0."""


def fit_temperature(probabilities: Float[np.ndarray, "n labels"], gold: Int[np.ndarray, " n"]) -> float:
    """Return the temperature within `TEMPERATURES` whose tempered probabilities are likeliest to give `gold`.

    `gold` holds columns. The mean of -log p is convex in 1/T, so it has one minimum in log T too.
    """

    rows = np.arange(len(gold))

    def loss(log_temperature: float) -> float:
        return -float(_log_tempered(probabilities, math.exp(log_temperature))[rows, gold].mean())

    bounds = tuple(math.log(t) for t in TEMPERATURES)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(math.exp(found.x))


def tempered(probabilities: Float[np.ndarray, "n labels"], temperature: float) -> Float[np.ndarray, "n labels"]:
    """Return p^(1/T), renormalised in each row; T > 1 makes them less sure, and no T changes their order."""
    return np.exp(_log_tempered(probabilities, temperature))  # type: ignore[no-any-return]


def _log_tempered(probabilities: Float[np.ndarray, "n labels"], temperature: float) -> Float[np.ndarray, "n labels"]:
    floored = np.asarray(probabilities, dtype=np.float64).clip(min=np.finfo(np.float64).tiny)
    return log_softmax(np.log(floored) / temperature, axis=1)  # type: ignore[no-any-return]


def reliability_bins(confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> list[dict[str, Any]]:
    """Return the bars of a reliability diagram: `{low, high, n, confidence, accuracy}` of each bin with a record.

    The bins are those of the expected calibration error, which is the mean of |accuracy - confidence| weighted by `n`.
    """
    bins = np.searchsorted(np.linspace(0, 1, ECE_BINS + 1)[1:-1], confidence, side="right")
    return [
        {
            "low": k / ECE_BINS,
            "high": (k + 1) / ECE_BINS,
            "n": int((bins == k).sum()),
            "confidence": float(confidence[bins == k].mean()),
            "accuracy": float(right[bins == k].mean()),
        }
        for k in sorted(set(bins.tolist()))
    ]


def accuracy_at_coverage(confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> dict[str, float]:
    """Return `{percent: accuracy}` of the surest percent of the records, rounded up to whole records.

    Records that are equally sure are taken in proportion, so that the order of the file plays no part.
    """
    return {str(percent): _accuracy_of_surest(confidence, right, percent) for percent in COVERAGES}


def _accuracy_of_surest(confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], percent: int) -> float:
    answered = -(-len(right) * percent // 100)
    edge = np.sort(confidence)[-answered]
    surer, level = confidence > edge, confidence == edge
    hits = right[surer].sum() + (answered - surer.sum()) * right[level].mean()
    return float(hits / answered)


def details(
    predictions: Sequence[Prediction], tasks: Mapping[str, Sequence[str]], valid: Sequence[Prediction] | None
) -> dict[str, dict[str, Any]]:
    """Return, for each task, its `confusion`, `reliability` and `accuracy_at_coverage`.

    With the predictions of `valid`, of the same model, also `temperature_scaling`: the temperature fitted on them,
    and nll and ece of `predictions` before and after. `confusion` is `{gold: {predicted: n}}` without its zeros.
    """
    held_out = by_task(valid or [], tasks)
    found: dict[str, dict[str, Any]] = {}
    for name, (gold, probabilities) in by_task(predictions, tasks).items():
        columns = probabilities.argmax(axis=1)
        confidence, right = probabilities.max(axis=1), columns == gold
        found[name] = {
            "confusion": _confusion(tasks[name], gold, columns),
            "reliability": reliability_bins(confidence, right),
            "accuracy_at_coverage": accuracy_at_coverage(confidence, right),
        }
        if name in held_out:
            found[name]["temperature_scaling"] = _scaling(held_out[name], gold, probabilities)
    return found


def _scaling(
    valid: tuple[Int[np.ndarray, " m"], Float[np.ndarray, "m labels"]],
    gold: Int[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n labels"],
) -> dict[str, Any]:
    temperature = fit_temperature(valid[1], valid[0])
    stages = {"before": probabilities, "after": tempered(probabilities, temperature)}
    scores = {
        stage: {"nll": log_loss(p, gold), "ece": calibration_error(p.max(axis=1), probabilities.argmax(axis=1) == gold)}
        for stage, p in stages.items()
    }
    return {"temperature": temperature, "fitted_on": len(valid[0]), **scores}


def _confusion(
    labels: Sequence[str], gold: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"]
) -> dict[str, dict[str, int]]:
    cells, counts = np.unique(np.stack([gold, columns]), axis=1, return_counts=True)
    matrix: dict[str, dict[str, int]] = {}
    for (row, column), count in zip(cells.T.tolist(), counts.tolist(), strict=True):
        matrix.setdefault(labels[row], {})[labels[column]] = count
    return matrix
