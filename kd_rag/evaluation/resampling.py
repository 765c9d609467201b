"""The weighted F1 of two models on resampled records and runs, both models on the same records.

In: gold labels, and the labels that each run of two models predicted. Out: `Resampled`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from kd_rag.evaluation.statistics import weighted_f1


@dataclass(frozen=True, slots=True)
class Resampled:
    """The F1 of every run of both models, and how much better the second one was in each resample, in [-1, 1].

    `only_first` and `only_second` count the records that one model alone has right, going by the commonest answer of
    its runs.
    """

    first: Float[np.ndarray, " runs"]
    second: Float[np.ndarray, " others"]
    differences: Float[np.ndarray, " samples"]
    only_first: int
    only_second: int


def draw_runs(runs: int, samples: int, rng: np.random.Generator) -> Int[np.ndarray, "samples drawn"]:
    """Return which runs each resample has: n - 1 of n, the one where there is one."""
    return np.zeros((samples, 1), dtype=np.int64) if runs == 1 else rng.integers(runs, size=(samples, runs - 1))


def resample(
    gold: Sequence[str],
    first: Sequence[Sequence[str]],
    second: Sequence[Sequence[str]],
    drawn: Sequence[Int[np.ndarray, "samples drawn"]],
    rng: np.random.Generator,
) -> Resampled:
    """Score two models on one task; `first` and `second` hold one list a run, in the order of `gold`, and `drawn` has
    the runs of each resample, of the first model and of the second."""
    labels = np.array(sorted({*gold, *(p for run in (*first, *second) for p in run)}))
    truth = np.searchsorted(labels, gold)
    models = [np.searchsorted(labels, np.array(model)) for model in (first, second)]
    cells = [truth * len(labels) + model for model in models]
    ours, theirs = (_f1(np.array([[_tally(run, len(labels)) for run in model]]))[0] for model in cells)
    tallies: tuple[list[list[Int[np.ndarray, "3 labels"]]], ...] = ([], [])
    for runs in zip(*drawn, strict=True):
        records = rng.integers(len(truth), size=len(truth))
        for model, chosen, found in zip(cells, runs, tallies, strict=True):
            found.append([_tally(run[records], len(labels)) for run in model[chosen]])
    before, after = (_f1(np.array(found)).mean(axis=1) for found in tallies)
    one, other = (_commonest(model) == truth for model in models)
    return Resampled(ours, theirs, after - before, int((one & ~other).sum()), int((other & ~one).sum()))


def average_of(tasks: Sequence[Resampled]) -> Resampled:
    """Return the mean over tasks that were drawn with the same runs; their records are not the same, and count all."""
    return Resampled(
        first=np.mean([task.first for task in tasks], axis=0),
        second=np.mean([task.second for task in tasks], axis=0),
        differences=np.mean([task.differences for task in tasks], axis=0),
        only_first=sum(task.only_first for task in tasks),
        only_second=sum(task.only_second for task in tasks),
    )


def _tally(cells: Int[np.ndarray, " n"], labels: int) -> Int[np.ndarray, "3 labels"]:
    """Count each label's records, answers and right answers; a record's cell is its gold column times `labels` plus the
    predicted one, so that one pass over the records counts all three."""
    confusion = np.bincount(cells, minlength=labels * labels).reshape(labels, labels)
    return np.stack([confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()])


def _f1(tallies: Int[np.ndarray, "samples runs 3 labels"]) -> Float[np.ndarray, "samples runs"]:
    """Return the weighted F1 of each run in each resample."""
    samples, runs, _, labels = tallies.shape
    support, claimed, hits = np.moveaxis(tallies, 2, 0).reshape(3, samples * runs, labels)
    return weighted_f1(support, claimed, hits).reshape(samples, runs)


def _commonest(model: Int[np.ndarray, "runs n"]) -> Int[np.ndarray, " n"]:
    """Return each record's commonest answer over the runs, of equals that of the earliest run."""
    return np.array([Counter(answers).most_common(1)[0][0] for answers in model.T.tolist()])
