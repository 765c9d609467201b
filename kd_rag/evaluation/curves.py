"""Scores of one run while it was trained, evaluation by evaluation.

In: the lines of `metrics.jsonl`. Out: points by column (each task, and the average), and their table by epoch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kd_rag.evaluation.metrics import AVERAGE
from kd_rag.evaluation.tables import ABSENT, Rows

FARTHEST = 0.25
"""Epochs between a column that was asked for and the evaluation that it shows."""


class Point(NamedTuple):
    """One evaluation on valid: 100 × weighted F1 with the ends of its 95% interval."""

    epoch: float
    score: float
    low: float
    high: float


def evaluations(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run folder's `metrics.jsonl`; a run that was only evaluated has none.

    A last line without its end is left out: the run is about to write it, or was killed there.
    """
    path = folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def columns(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return 100 × weighted F1 of each task, and the average."""
    return {name: 100 * task["weighted_f1"] for name, task in metrics["tasks"].items()} | {
        AVERAGE: metrics["average_score"]
    }


def intervals(metrics: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the 95% interval of each of `columns`.

    That of the average takes the tasks as independent, which they are, having no record in common: the distances of
    their ends from the scores add up in quadrature.
    """
    tasks = metrics["tasks"].values()
    found = {n: (100 * t["weighted_f1_ci95"][0], 100 * t["weighted_f1_ci95"][1]) for n, t in metrics["tasks"].items()}
    below, above = (
        math.hypot(*(100 * (t["weighted_f1"] - t["weighted_f1_ci95"][end]) for t in tasks)) / len(found)
        for end in (0, 1)
    )
    return found | {AVERAGE: (metrics["average_score"] - below, metrics["average_score"] + above)}


def points(folder: Path) -> dict[str, list[Point]]:
    """Return the evaluations of a run folder by column; epochs are rounded to hundredths."""
    found: dict[str, list[Point]] = {}
    for row in evaluations(folder):
        ends = intervals(row)
        for column, score in columns(row).items():
            found.setdefault(column, []).append(Point(round(row["epoch"], 2), score, *ends[column]))
    return found


def by_epoch(curves: Mapping[str, Mapping[str, Mapping[float, float]]], epochs: Sequence[float], first: str) -> Rows:
    """Lay out `{name: {column: {epoch: score}}}`, one row for each name and column, one table column for each epoch.

    `epochs` are the table's columns, each filled from the nearest evaluation at most `FARTHEST` away; empty means all
    there are. `first` is the head of the names.
    """
    known = {epoch for found in curves.values() for curve in found.values() for epoch in curve}
    shown = list(epochs) or sorted(known)
    rows = [[first, "score", *(f"{epoch:g}" for epoch in shown)]]
    for name, found in curves.items():
        for column, curve in found.items():
            rows.append([name, column, *(_nearest(curve, epoch, FARTHEST if epochs else 0) for epoch in shown)])
    return rows


def ordered(names: Iterable[str]) -> list[str]:
    """Return each name once, the average last."""
    return sorted(dict.fromkeys(names), key=lambda name: name == AVERAGE)


def _nearest(curve: Mapping[float, float], epoch: float, farthest: float) -> str:
    found = min(curve, key=lambda known: abs(known - epoch))
    return f"{curve[found]:.2f}" if abs(found - epoch) <= farthest else ABSENT
