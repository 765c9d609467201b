"""Variants of an ablation: their runs by seed, and what these scored.

In: runs. Out: scores and curves over the seeds, by column: each task, and the average.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from kd_rag.evaluation.curves import Point, columns, points
from kd_rag.evaluation.runs import Run


@dataclass(frozen=True, slots=True)
class Variant:
    """Runs by seed; why other seeds have none: the last line of an error, or pruned; and what others published: of the
    end by column, and `{epoch: {column: figure}}`."""

    name: str
    runs: Mapping[int, Run]
    failed: Mapping[int, str]
    published: Mapping[str, float]
    published_by_epoch: Mapping[float, Mapping[str, float]]


def scores_of(variant: Variant) -> dict[str, list[float]]:
    """Return 100 × weighted F1 of each task and the average, one value a seed."""
    found: dict[str, list[float]] = {}
    for run in variant.runs.values():
        for name, score in columns(run.metrics).items():
            found.setdefault(name, []).append(score)
    return found


def seed_curves(variant: Variant) -> dict[str, dict[float, list[Point]]]:
    """Return, by column, the evaluations of all seeds at each epoch that `metrics.jsonl` has.

    An epoch is rounded to hundredths: the half of an odd number of steps falls beside the half of the epoch.
    """
    found: dict[str, dict[float, list[Point]]] = {}
    for run in variant.runs.values():
        for column, curve in points(run.folder).items():
            for point in curve:
                found.setdefault(column, {}).setdefault(point.epoch, []).append(point)
    return found


def curves_of(variant: Variant) -> dict[str, dict[float, float]]:
    """Return, by column, the mean score over the seeds at each epoch."""
    return {
        column: {epoch: fmean(p.score for p in seeds) for epoch, seeds in curve.items()}
        for column, curve in seed_curves(variant).items()
    }


def published_curves(variant: Variant) -> dict[str, dict[float, float]]:
    """Return, by column, what others published of each epoch."""
    found: dict[str, dict[float, float]] = {}
    for epoch, figures in variant.published_by_epoch.items():
        for column, figure in figures.items():
            found.setdefault(column, {})[epoch] = figure
    return found
