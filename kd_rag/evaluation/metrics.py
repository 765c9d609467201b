"""Scores of labelled predictions: how often right, how sure, and whether the sureness can be believed.

In: gold labels and a probability for every label, task by task. Out: the content of `metrics.json` in plain
JSON types, the same to the last digit for a seed. scikit-learn counts; torchmetrics bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support
from torchmetrics.functional.classification import binary_calibration_error

from kd_rag.evaluation.predictions import Prediction
from kd_rag.evaluation.statistics import Interval, bootstrap_f1
from kd_rag.types import InputError

ECE_BINS = 15
AVERAGE = "average"
"""Name of the mean over the tasks where it stands beside them."""


def score(
    predictions: Sequence[Prediction], tasks: Mapping[str, Sequence[str]], bootstrap_samples: int, seed: int
) -> dict[str, Any]:
    """Return `{"tasks": {name: scores}, "NAME_score": …, "average_score": …}`.

    `tasks` maps each task to its labels in prompt order; a task without a prediction has no entry. A task's
    score is 100 times its weighted F1, and the average score is the mean of these. Raises InputError naming
    the record whose task, label or probabilities do not fit.
    """
    if not predictions:
        raise InputError("there is no record to score; give at least one labelled record")
    scored = {
        name: score_task(tasks[name], [tasks[name][g] for g in gold], probabilities, bootstrap_samples, seed)
        for name, (gold, probabilities) in by_task(predictions, tasks).items()
    }
    return over_tasks(scored)


def over_tasks(scored: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the scores of tasks with each task's score and their mean beside them."""
    scores = {f"{name}_score": 100 * task["weighted_f1"] for name, task in scored.items()}
    return {"tasks": scored, **scores, "average_score": fmean(scores.values())}


def by_task(
    predictions: Sequence[Prediction], tasks: Mapping[str, Sequence[str]]
) -> dict[str, tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n labels"]]]:
    """Return, for each task with a prediction, the gold columns and the probabilities, in the order of its labels.

    Raises InputError naming the record whose task, label or probabilities do not fit.
    """
    rows: dict[str, list[tuple[int, list[float]]]] = {name: [] for name in tasks}
    for prediction in predictions:
        if prediction.task not in tasks:
            raise InputError(f"record {prediction.id!r}: task {prediction.task!r} is none of {list(tasks)}")
        rows[prediction.task].append(_gold_and_row(prediction, tasks[prediction.task]))
    return {
        name: (np.array([g for g, _ in found]), np.array([p for _, p in found], dtype=np.float64))
        for name, found in rows.items()
        if found
    }


def score_task(
    labels: Sequence[str],
    gold: Sequence[str],
    probabilities: Float[np.ndarray, "n labels"],
    bootstrap_samples: int,
    seed: int,
) -> dict[str, Any]:
    """Score one task; `labels` are in prompt order and name the columns of `probabilities`.

    The predicted label is the likeliest, the first in prompt order among equals.
    """
    assert probabilities.shape == (len(gold), len(labels)), f"{probabilities.shape} for {len(gold)} records"
    probabilities = probabilities.astype(np.float64)
    predicted = [labels[i] for i in probabilities.argmax(axis=1)]
    right = np.array([g == p for g, p in zip(gold, predicted, strict=True)])
    columns = np.array([labels.index(g) for g in gold])
    return {
        **score_answers(labels, gold, predicted, bootstrap_samples, seed),
        "nll": log_loss(probabilities, columns),
        "ece": calibration_error(probabilities.max(axis=1), right),
    }


def score_answers(
    labels: Sequence[str], gold: Sequence[str], predicted: Sequence[str], bootstrap_samples: int, seed: int
) -> dict[str, Any]:
    """Return the scores of one task that need no probabilities.

    F1 is scikit-learn's with `zero_division=0`; the macro average runs over the labels that occur in `gold` or are
    predicted. An answer that is none of `labels` is wrong.
    """
    occurring = sorted({*gold, *predicted} & {*labels})
    weighted, each = bootstrap_f1(gold, predicted, bootstrap_samples, seed)
    return {
        "n": len(gold),
        "accuracy": float(accuracy_score(gold, predicted)),
        "weighted_f1": float(f1_score(gold, predicted, average="weighted", zero_division=0)),
        "macro_f1": float(f1_score(gold, predicted, labels=occurring, average="macro", zero_division=0)),
        "weighted_f1_ci95": list(weighted),
        "per_label": _per_label(labels, gold, predicted, each),
    }


def log_loss(probabilities: Float[np.ndarray, "n labels"], gold: Int[np.ndarray, " n"]) -> float:
    """Return the mean of -log p(gold column) in nats, with p no smaller than float64's epsilon, as in scikit-learn."""
    p_gold = probabilities[np.arange(len(gold)), gold]
    return float(-np.log(p_gold.clip(min=np.finfo(np.float64).eps)).mean())


def calibration_error(confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> float:
    """Return the expected calibration error of the predicted labels (Naeini et al. 2015; Guo et al. 2017).

    Records fall by the probability of their predicted label into 15 bins [k/15, (k+1)/15), the last of which
    includes 1; the error is the mean over records of their bin's |accuracy - mean probability|.
    """
    # torchmetrics would give a confidence of exactly 1 a sixteenth bin of its own.
    below_one = torch.from_numpy(confidence.clip(max=np.nextafter(1.0, 0.0)))
    return float(binary_calibration_error(below_one, torch.from_numpy(right).long(), n_bins=ECE_BINS))


def _per_label(
    labels: Sequence[str], gold: Sequence[str], predicted: Sequence[str], intervals: Mapping[str, Interval]
) -> dict[str, Any]:
    """Return `{label: {precision, recall, f1, f1_ci95, support}}` in prompt order."""
    columns = precision_recall_fscore_support(gold, predicted, labels=labels, zero_division=0)
    return {
        label: {
            "precision": float(p),
            "recall": float(r),
            "f1": float(f),
            "f1_ci95": list(intervals.get(label, (0, 0))),
            "support": int(s),
        }
        for label, p, r, f, s in zip(labels, *columns, strict=True)
    }


def _gold_and_row(prediction: Prediction, labels: Sequence[str]) -> tuple[int, list[float]]:
    """Return the column of a prediction's gold label and its probabilities in the order of `labels`."""
    if prediction.label is None:
        raise InputError(f"record {prediction.id!r} has no label; scores need one (`predict` works without)")
    if prediction.label not in labels:
        raise InputError(f"record {prediction.id!r}: {prediction.label!r} is no label of task {prediction.task!r}")
    missing = [label for label in labels if label not in prediction.probabilities]
    if missing:
        raise InputError(f"record {prediction.id!r}: there is no probability for label {missing[0]!r}")
    return labels.index(prediction.label), [prediction.probabilities[label] for label in labels]
