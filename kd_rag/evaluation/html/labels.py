"""The sections about labels: F1 of every label and run, and for one run bars, the confusion and the reliability.

In: `Findings`. Out: the content of each section. The weakest labels stand on top everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from kd_rag.evaluation.findings import Findings
from kd_rag.evaluation.html.frame import series_class
from kd_rag.evaluation.html.markup import Markup, tag
from kd_rag.evaluation.html.reliability import RELIABILITY_LEGEND, Sureness, reliability_figure
from kd_rag.evaluation.html.scores import spoken
from kd_rag.evaluation.html.strips import bar
from kd_rag.evaluation.html.tables import cell, table
from kd_rag.evaluation.runs import Run
from kd_rag.evaluation.tables import ABSENT

MATRIX_LEGEND = "100 × F1; the weaker a label, the stronger its colour. Labels that no record has are left out."


def label_section(found: Findings) -> list[Markup]:
    """Return, for each task, the F1 of every label in every run, the weakest label on top."""
    tasks = list(dict.fromkeys(task for run in found.runs.values() for task in run.metrics["tasks"]))
    return [*(_matrix(task, found.runs) for task in tasks), tag("p", MATRIX_LEGEND, class_="legend-text")]


def _matrix(task: str, runs: Mapping[str, Run]) -> Markup:
    scores = {
        name: run.metrics["tasks"][task]["per_label"] for name, run in runs.items() if task in run.metrics["tasks"]
    }
    f1: dict[str, dict[str, float]] = {}
    support: dict[str, int] = {}
    for name, per_label in scores.items():
        for label, s in per_label.items():
            if s["support"]:
                f1.setdefault(label, {})[name] = s["f1"]
                support[label] = max(s["support"], support.get(label, 0))
    rows = []
    for label in sorted(f1, key=lambda label: fmean(f1[label].values())):
        row = [cell(label, header=True), cell(support[label], number=True)]
        for name in scores:
            row.append(_heat(f1[label].get(name), f"{label}, {name}"))
        rows.append(row)
    head = [cell("label", header=True, scope="col"), cell("records", header=True, scope="col", number=True)]
    head += [cell(name, header=True, scope="col", number=True) for name in scores]
    return table(f"F1 by label: {spoken(task)}", head, rows, class_="matrix")


def _heat(f1: float | None, told: str) -> Markup:
    if f1 is None:
        return cell(ABSENT, number=True)
    return cell(f"{100 * f1:.0f}", number=True, class_="heat", style=f"--weak:{100 * (1 - f1):.0f}%")


def run_section(found: Findings, measured: Mapping[str, Mapping[str, Sureness]]) -> list[Markup]:
    """Return a panel for each run, and the choice between them, which the script makes work."""
    names = list(found.runs)
    options = [tag("option", name, value=i) for i, name in enumerate(names)]
    choice = tag("label", "Run ", tag("select", *options, id="panel-run"), class_="choice script-only")
    panels = []
    for i, (name, run) in enumerate(found.runs.items()):
        swatch = tag("span", class_=f"swatch {series_class(i)}", aria_hidden="true")
        parts = [_task_panel(task, name, run, measured[name][task]) for task in run.metrics["tasks"]]
        panels.append(tag("article", tag("h3", swatch, name), *parts, class_=f"panel {series_class(i)}", data_panel=i))
    legend = tag("p", RELIABILITY_LEGEND, class_="legend-text")
    return [*([choice] if len(names) > 1 else []), *panels, legend]


def _task_panel(task: str, name: str, run: Run, sureness: Sureness) -> Markup:
    labels = list(run.metrics["tasks"][task]["per_label"])
    confusion: dict[str, Counter[str]] = {}
    for p in run.predictions:
        if p.task == task:
            confusion.setdefault(str(p.label), Counter())[p.predicted] += 1
    return tag(
        "div",
        tag("h4", spoken(task)),
        tag(
            "div",
            tag("div", _bars(task, run.metrics["tasks"][task]["per_label"]), reliability_figure(task, sureness)),
            _confusion(task, labels, confusion),
            class_="pieces",
        ),
    )


def _bars(task: str, per_label: Mapping[str, Mapping[str, Any]]) -> Markup:
    rows = []
    occurring = [(label, s) for label, s in per_label.items() if s["support"]]
    for label, s in sorted(occurring, key=lambda item: (item[1]["f1"], -item[1]["support"])):
        shares = [f"{100 * s[key]:.0f}" for key in ("f1", "precision", "recall")]
        # Runs that were scored before labels had intervals have none.
        ends = " to ".join(f"{100 * end:.0f}" for end in s.get("f1_ci95", ()))
        drawn = cell(bar(s["f1"]), tag("small", ends, class_="below"), class_="track")
        numbers = [cell(value, number=True) for value in (*shares, s["support"])]
        rows.append([cell(label, header=True), drawn, *numbers])
    heads = ["label", "95% interval", "F1", "precision", "recall", "records"]
    head = [cell(name, header=True, scope="col", number=i > 1) for i, name in enumerate(heads)]
    return table(f"Labels of {spoken(task)}, the weakest on top", head, rows, class_="bars")


def _confusion(task: str, labels: Sequence[str], confusion: Mapping[str, Mapping[str, int]]) -> Markup:
    """Return the confusion as a heat map of the labels that occur, each row's colours as shares of its records."""
    predicted = {label for row in confusion.values() for label in row}
    shown = [label for label in labels if label in confusion or label in predicted]
    head = [cell("gold ↓ predicted →", header=True, scope="col", class_="corner")]
    head += [cell(tag("span", label, title=label), header=True, scope="col", class_="turned") for label in shown]
    rows = []
    for gold in shown:
        counts = confusion.get(gold, {})
        total = sum(counts.values())
        row = [cell(gold, header=True)]
        for label in shown:
            if label in counts:
                kind = "hit" if label == gold else "miss"
                share = f"--share:{round(100 * counts[label] / total)}%"
                row.append(cell(counts[label], number=True, class_=kind, style=share))
            else:
                row.append(cell(number=True, class_="hole" if label == gold else ""))
        rows.append(row)
    return table(f"Confusion of {spoken(task)}: rows are gold labels", head, rows, class_="confusion")
