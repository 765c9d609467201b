"""The tables of a report as rows of text, free of any markup.

In: runs and scored baselines. Out: `Rows`, which a page or the terminal lays out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import fmean
from typing import Any

from kd_rag import config
from kd_rag.evaluation.comparison import Compared
from kd_rag.evaluation.runs import Run

Rows = list[list[str]]
"""The head, then the rows."""

WEAKEST_LABELS = 5
"""Shown per run and task."""
ERRORS = 5
"""Shown per run."""
ABSENT = "–"


@dataclass(frozen=True, slots=True)
class Scored:
    """One row of the scores table: a run, or on its records a baseline or another mode.

    `metrics` is the content of `metrics.json`, `facts` that of `run.json` (empty where it is no run); `published` are
    figures of others, by task or `average`.
    """

    name: str
    kind: str
    metrics: Mapping[str, Any]
    facts: Mapping[str, Any]
    published: Mapping[str, float] = field(default_factory=dict)


def score_table(scored: Sequence[Scored]) -> Rows:
    """Lay out every row's scores; a task that a row does not have is a dash."""
    tasks = list(dict.fromkeys(task for row in scored for task in row.metrics["tasks"]))
    others = list(dict.fromkeys(name for row in scored for name in row.published))
    head = ["run", "kind", "records", *tasks, "average", "nll", "ece", "trainable parameters", "wall time"]
    rows = [head + [f"{name}, published" for name in others]]
    for row in scored:
        published = [f"{row.published[name]:.2f}" if name in row.published else ABSENT for name in others]
        rows.append(_score_row(row, tasks) + published)
    return rows


def comparison_table(found: Mapping[str, Compared]) -> Rows:
    """Lay out how each named run compares with the first, task by task and on the average."""
    rows = [
        [
            "run",
            "task",
            "difference",
            "95% interval",
            "p",
            "only first right",
            "only this right",
            "McNemar p",
            "verdict",
        ]
    ]
    for name, compared in found.items():
        for task, c in compared.found.items():
            interval = f"{100 * c.low:+.1f} to {100 * c.high:+.1f}"
            counts = [str(c.only_first), str(c.only_second), f"{c.mcnemar_p:.3f}"]
            rows.append([name, task, f"{100 * c.difference:+.1f}", interval, f"{c.p:.3f}", *counts, c.verdict])
    return rows


def left_out(found: Mapping[str, Compared]) -> list[str]:
    """Return a sentence for each task of a run that could not be compared with the first."""
    return [f"Not compared: {name}, {task}: {why}." for name, c in found.items() for task, why in c.left_out.items()]


def weakest_labels(named: Mapping[str, Run]) -> Rows:
    """List, per run and task, the labels with the lowest F1 below 1, of those that the records have."""
    rows = [["run", "task", "label", "F1", "precision", "recall", "support"]]
    for name, run in named.items():
        for task, scores in run.metrics["tasks"].items():
            weak = [(label, s) for label, s in scores["per_label"].items() if s["support"] and s["f1"] < 1]
            for label, s in sorted(weak, key=lambda item: item[1]["f1"])[:WEAKEST_LABELS]:
                shares = [f"{100 * s[key]:.1f}" for key in ("f1", "precision", "recall")]
                rows.append([name, task, label, *shares, str(s["support"])])
    return rows


def configuration_differences(named: Mapping[str, Run]) -> Rows:
    """List the keys whose value is not the same in every run, the run's name aside."""
    first, *others = (run.config for run in named.values())
    changes = [config.differences(first, other) for other in others]
    rows = [["key", *named]]
    for key in sorted({key for change in changes for key in change} - {"run.name"}):
        value = next(change[key][0] for change in changes if key in change)
        values = [value] + [change[key][1] if key in change else value for change in changes]
        rows.append([key, *(json.dumps(v, ensure_ascii=False) for v in values)])
    return rows


def confident_errors(named: Mapping[str, Run]) -> Rows:
    """List, per run, the wrong predictions that it was surest of."""
    rows = [["run", "task", "record", "gold", "predicted", "p(predicted)", "p(gold)"]]
    for name, run in named.items():
        wrong = [
            (p.probabilities[p.predicted], p.probabilities[p.label], p.label, p)
            for p in run.predictions
            if p.label is not None and p.label != p.predicted
        ]
        for sure, of_gold, gold, p in sorted(wrong, key=lambda e: (-e[0], e[3].task, e[3].id))[:ERRORS]:
            rows.append([name, p.task, p.id, gold, p.predicted, f"{sure:.3f}", f"{of_gold:.3f}"])
    return rows


def _score_row(row: Scored, tasks: Sequence[str]) -> list[str]:
    found = row.metrics["tasks"]
    trainable, wall = row.facts.get("trainable_parameters"), row.facts.get("wall_seconds")
    return [
        row.name,
        row.kind,
        f"{sum(task['n'] for task in found.values())} {row.metrics['split']}",
        *(_interval(found[task]) if task in found else ABSENT for task in tasks),
        f"{row.metrics['average_score']:.1f}",
        *(mean_over_tasks(row, key) for key in ("nll", "ece")),
        ABSENT if trainable is None else f"{trainable:,}",
        ABSENT if wall is None else str(timedelta(seconds=round(wall))),
    ]


def mean_over_tasks(row: Scored, key: str) -> str:
    """Return the mean of a score that only rows with probabilities have, a dash for the others."""
    tasks = row.metrics["tasks"].values()
    return f"{fmean(task[key] for task in tasks):.3f}" if all(key in task for task in tasks) else ABSENT


def _interval(task: Mapping[str, Any]) -> str:
    low, high = task["weighted_f1_ci95"]
    return f"{100 * task['weighted_f1']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
