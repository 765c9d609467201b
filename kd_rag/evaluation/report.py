"""One page that sets runs side by side: scores with intervals, weak labels, differences, errors.

In: run folders. Out: `report.md`, and its first table for the terminal.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_rag.evaluation import tables
from kd_rag.evaluation.baselines import majority_class
from kd_rag.evaluation.comparison import compare
from kd_rag.evaluation.markdown import cell as _cell
from kd_rag.evaluation.markdown import table as _markdown
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.runs import Run, read_run
from kd_rag.evaluation.tables import Rows, Scored
from kd_rag.types import InputError

SCORES_LEGEND = """\
A task's score is 100 × weighted F1, with its 95% bootstrap interval over the records; average is the mean of
the tasks' scores. nll (mean −log p of the gold label, in nats) and ece (expected calibration error, 15 bins) are
means over the tasks too. The majority class is that of the training set, scored on the same records."""

COMPARISON_LEGEND = """\
A difference is that of 100 × weighted F1, with the 95% interval and two-sided p of a bootstrap that
draws the same records for both runs; it is within noise where the interval holds 0. McNemar's exact p is of the
records that one run alone has right."""


def write_report(runs: Sequence[Path], out: Path) -> str:
    """Write `out`/report.md about the run folders, in their order; return the scores table as aligned text.

    `out` may exist, but a report in it is never overwritten. Raises InputError naming what a run lacks.
    """
    page = out / "report.md"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out names the folder that report.md is written into")
    if page.exists():
        raise InputError(f"{page} exists already; remove it, or choose another folder with --out")
    named = _named([read_run(folder) for folder in runs])
    scored = [Scored(name, run.facts["command"], run.metrics, run.facts) for name, run in named.items()]
    scored += _majority_rows(named)
    scores = tables.score_table(scored)
    sections = {
        "Scores": [_markdown(scores), SCORES_LEGEND, *_records_warning(named), _noise_note(scored)],
        "Compared with the first run": [*_comparisons(named)],
        "Weakest labels": [_markdown(tables.weakest_labels(named))],
        "Configuration differences": [_markdown(tables.configuration_differences(named))],
        "Most confident errors": [_markdown(tables.confident_errors(named))],
    }
    parts = [part for title, blocks in sections.items() for part in (f"## {title}", *blocks)]
    out.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join(["# Report", *parts]) + "\n", encoding="utf-8")
    return _aligned(scores)


def _named(runs: Sequence[Run]) -> dict[str, Run]:
    """Key the runs by folder name, or by path where two folders have one name."""
    names = [run.folder.resolve().name for run in runs]
    unique = names if len(set(names)) == len(runs) else [str(run.folder) for run in runs]
    return dict(zip(unique, runs, strict=True))


def _comparisons(named: Mapping[str, Run]) -> list[str]:
    """Compare each run on the first one's records with the first; the others are named in a line."""
    (first, base), *others = named.items()
    same = {name: run for name, run in others if _records(run) == _records(base)}
    settings = base.config
    found = {
        name: compare([base.predictions], [run.predictions], settings.evaluation.bootstrap_samples, settings.run.seed)
        for name, run in same.items()
    }
    left = [name for name, _ in others if name not in same]
    note = [f"Not compared, being scored on other records: {_cell(', '.join(left))}."] if left else []
    legend = f"The first run is {_cell(first)}. {COMPARISON_LEGEND}"
    return [_markdown(tables.comparison_table(found)), *([legend] if found else []), *note]


def _majority_rows(named: Mapping[str, Run]) -> list[Scored]:
    """Score the majority class once for all runs with the same training labels and scored records."""
    groups: dict[str, list[str]] = {}
    for name, run in named.items():
        key = json.dumps([run.facts["train_label_counts"], _records(run)], sort_keys=True)
        groups.setdefault(key, []).append(name)
    rows = []
    for names in groups.values():
        run = named[names[0]]
        labels = {name: list(task["per_label"]) for name, task in run.metrics["tasks"].items()}
        guesses = majority_class(run.facts["train_label_counts"], run.predictions)
        metrics = score(guesses, labels, run.config.evaluation.bootstrap_samples, run.config.run.seed)
        title = "majority class" if len(groups) == 1 else f"majority class ({', '.join(names)})"
        rows.append(Scored(title, "baseline", {"split": run.metrics["split"], **metrics}, {}))
    return rows


def _records(run: Run) -> list[list[str]]:
    """Return what identifies the scored records, whatever their order in the file."""
    return sorted([p.task, p.id, str(p.label)] for p in run.predictions)


def _records_warning(named: Mapping[str, Run]) -> list[str]:
    if len({json.dumps(_records(run)) for run in named.values()}) == 1:
        return []
    return ["**The runs were scored on different records: their scores cannot be compared.**"]


def _noise_note(scored: Sequence[Scored]) -> str:
    """Name each pair of rows, and the tasks, whose intervals overlap."""
    notes = []
    for one, other in itertools.combinations(scored, 2):
        ours, theirs = one.metrics["tasks"], other.metrics["tasks"]
        shared = [task for task in ours if task in theirs and _overlap(ours[task], theirs[task])]
        if shared:
            notes.append(f"- {_cell(one.name)} and {_cell(other.name)}: {_cell(', '.join(shared))}")
    if not notes:
        return "No two rows are within noise: none of their 95% intervals overlap."
    return "\n".join(["Within noise (the 95% intervals overlap: the difference may be chance):", "", *notes])


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    (low, high), (other_low, other_high) = one["weighted_f1_ci95"], other["weighted_f1_ci95"]
    return bool(low <= other_high and other_low <= high)


def _aligned(rows: Rows) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
