"""One page that sets runs side by side: scores with intervals, weak labels, differences, errors.

In: run folders. Out: `report.md`, and its first table for the terminal.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from kd_rag import config
from kd_rag.evaluation.baselines import majority_class
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.runs import Run, read_run
from kd_rag.types import InputError

WEAKEST_LABELS = 5
"""Shown per run and task."""
ERRORS = 5
"""Shown per run."""
ABSENT = "–"

Rows = list[list[str]]
"""A table: the head, then the rows."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """One row of the scores table: a run, or a baseline on a run's records."""

    name: str
    kind: str
    metrics: Mapping[str, Any]
    facts: Mapping[str, Any]


def write_report(runs: Sequence[Path], out: Path) -> str:
    """Write `out`/report.md about the run folders, in the order given; return the scores table as aligned text.

    `out` may exist, but a report in it is never overwritten. Raises InputError naming a run's missing or broken file.
    """
    page = out / "report.md"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out names the folder that report.md is written into")
    if page.exists():
        raise InputError(f"{page} exists already; remove it, or choose another folder with --out")
    named = _named([read_run(folder) for folder in runs])
    scored = [_Scored(name, run.facts["command"], run.metrics, run.facts) for name, run in named.items()]
    scored += _baselines(named)
    table = _score_table(scored)
    sections = {
        "Scores": [_markdown(table), _SCORES_LEGEND, *_records_note(named), _noise_note(scored)],
        "Weakest labels": [_markdown(_weakest_labels(named))],
        "Configuration differences": [_markdown(_configuration_differences(named))],
        "Most confident errors": [_markdown(_errors(named))],
    }
    parts = ["# Report"]
    for title, blocks in sections.items():
        parts += [f"## {title}", *blocks]
    out.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return _aligned(table)


_SCORES_LEGEND = (
    "A task's score is 100 × weighted F1, with its 95% bootstrap interval over the records; average is the mean of "
    "the tasks' scores. nll (mean −log p of the gold label, nats) and ece (15 bins) are means over the tasks too. "
    "The majority class is that of the training set, scored on the same records."
)


def _named(runs: Sequence[Run]) -> dict[str, Run]:
    """Key the runs by folder name, or by path where two folders have one name."""
    names = {run.folder.resolve().name for run in runs}
    return {(run.folder.resolve().name if len(names) == len(runs) else str(run.folder)): run for run in runs}


def _baselines(named: Mapping[str, Run]) -> list[_Scored]:
    """Score the majority class, once for all runs with the same training labels and the same scored records."""
    groups: dict[str, list[str]] = {}
    for name, run in named.items():
        key = json.dumps([run.facts["train_label_counts"], _records(run)], sort_keys=True)
        groups.setdefault(key, []).append(name)
    rows = []
    for names in groups.values():
        run = named[names[0]]
        tasks = {name: list(task["per_label"]) for name, task in run.metrics["tasks"].items()}
        guesses = majority_class(run.facts["train_label_counts"], run.predictions)
        metrics = score(guesses, tasks, run.config.evaluation.bootstrap_samples, run.config.run.seed)
        title = "majority class" if len(groups) == 1 else f"majority class ({', '.join(names)})"
        rows.append(_Scored(title, "baseline", {"split": run.metrics["split"], **metrics}, {}))
    return rows


def _records(run: Run) -> list[list[str]]:
    """Return what identifies the scored records, in an order that does not depend on the file's."""
    return sorted([p.task, p.id, str(p.label)] for p in run.predictions)


def _score_table(scored: Sequence[_Scored]) -> Rows:
    tasks = list(dict.fromkeys(task for row in scored for task in row.metrics["tasks"]))
    head = ["run", "kind", "records", *tasks, "average", "nll", "ece", "trainable parameters", "wall time"]
    return [head] + [_score_row(row, tasks) for row in scored]


def _score_row(row: _Scored, tasks: Sequence[str]) -> list[str]:
    found = row.metrics["tasks"]
    nll, ece = (sum(task[key] for task in found.values()) / len(found) for key in ("nll", "ece"))
    trainable, wall = row.facts.get("trainable_parameters"), row.facts.get("wall_seconds")
    return [
        row.name,
        row.kind,
        f"{sum(task['n'] for task in found.values())} {row.metrics['split']}",
        *(_interval(found[task]) if task in found else ABSENT for task in tasks),
        f"{row.metrics['average_score']:.1f}",
        f"{nll:.3f}",
        f"{ece:.3f}",
        ABSENT if trainable is None else f"{trainable:,}",
        ABSENT if wall is None else str(timedelta(seconds=round(wall))),
    ]


def _interval(task: Mapping[str, Any]) -> str:
    low, high = task["weighted_f1_ci95"]
    return f"{100 * task['weighted_f1']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _records_note(named: Mapping[str, Run]) -> list[str]:
    if len({json.dumps(_records(run)) for run in named.values()}) == 1:
        return []
    return ["**The runs were scored on different records: their scores cannot be compared.**"]


def _noise_note(scored: Sequence[_Scored]) -> str:
    """Name each pair of rows, and the tasks, whose intervals overlap."""
    notes = []
    for one, other in itertools.combinations(scored, 2):
        ours, theirs = one.metrics["tasks"], other.metrics["tasks"]
        tasks = [task for task in ours if task in theirs and _overlap(ours[task], theirs[task])]
        if tasks:
            notes.append(f"- {_cell(one.name)} and {_cell(other.name)}: {_cell(', '.join(tasks))}")
    if not notes:
        return "No two rows are within noise: none of their 95% intervals overlap."
    return "Within noise, since the 95% intervals overlap and the difference may be chance:\n\n" + "\n".join(
        notes
    )


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    (low, high), (other_low, other_high) = one["weighted_f1_ci95"], other["weighted_f1_ci95"]
    return bool(low <= other_high and other_low <= high)


def _weakest_labels(named: Mapping[str, Run]) -> Rows:
    """List the labels with the lowest F1 below 1, of those that the records have."""
    rows = [["run", "task", "label", "F1", "precision", "recall", "support"]]
    for name, run in named.items():
        for task, scores in run.metrics["tasks"].items():
            weak = [(label, s) for label, s in scores["per_label"].items() if s["support"] and s["f1"] < 1]
            for label, s in sorted(weak, key=lambda item: item[1]["f1"])[:WEAKEST_LABELS]:
                shares = [f"{100 * s[key]:.1f}" for key in ("f1", "precision", "recall")]
                rows.append([name, task, label, *shares, str(s["support"])])
    return rows


def _configuration_differences(named: Mapping[str, Run]) -> Rows:
    """List the keys whose value is not the same in every run, the run's name aside."""
    first, *others = (run.config for run in named.values())
    changes = [config.differences(first, other) for other in others]
    rows = [["key", *named]]
    for key in sorted(set().union(*changes) - {"run.name"}):
        value = next(change[key][0] for change in changes if key in change)
        values = [value] + [change[key][1] if key in change else value for change in changes]
        rows.append([key, *(json.dumps(v, ensure_ascii=False) for v in values)])
    return rows


def _errors(named: Mapping[str, Run]) -> Rows:
    """List the wrong predictions that each run was surest of."""
    rows = [["run", "task", "record", "gold", "predicted", "p(predicted)", "p(gold)"]]
    for name, run in named.items():
        wrong = [
            (p.probabilities[p.predicted], p.label, p)
            for p in run.predictions
            if p.label not in (None, p.predicted)
        ]
        for sure, gold, p in sorted(wrong, key=lambda item: (-item[0], item[2].task, item[2].id))[:ERRORS]:
            rows.append(
                [name, p.task, p.id, str(gold), p.predicted, f"{sure:.3f}", f"{p.probabilities[gold]:.3f}"]
            )
    return rows


def _markdown(rows: Rows) -> str:
    if len(rows) == 1:
        return "None."
    head, *body = (f"| {' | '.join(map(_cell, row))} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def _cell(text: str) -> str:
    """Keep text from outside (labels, ids, prompts) from breaking the table or becoming markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _aligned(rows: Rows) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
