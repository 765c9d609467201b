"""Whether a run's sureness can be believed, drawn: reliability before and after temperature scaling, abstention.

In: the predictions of a run, and those on valid where its folder has them. Out: `Sureness` and its figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kd_rag.evaluation.calibration import accuracy_at_coverage, fit_temperature, reliability_bins, tempered
from kd_rag.evaluation.findings import Findings
from kd_rag.evaluation.html.frame import Frame, figure, group
from kd_rag.evaluation.html.lines import Dot, line_chart
from kd_rag.evaluation.html.markup import Markup, tag
from kd_rag.evaluation.html.scores import spoken
from kd_rag.evaluation.metrics import by_task, calibration_error, log_loss
from kd_rag.evaluation.predictions import read_predictions
from kd_rag.evaluation.runs import Run

RELIABILITY_LEGEND = """\
A reliability diagram sets what a run says (the probability of its answer, in 15 bins) against what happens (how often
the answer is right): on the diagonal, 70% sure is right in 70 of 100. Area of a point: share of the records. The
temperature of the scaling was fitted on valid; it changes no answer."""


@dataclass(frozen=True, slots=True)
class Sureness:
    """`before` and `after` scaling: bars of a reliability diagram, and scores; without valid there is no `after`."""

    before: Sequence[Mapping[str, Any]]
    ece_before: float
    nll_before: float
    after: Sequence[Mapping[str, Any]] | None
    ece_after: float | None
    nll_after: float | None
    temperature: float | None
    coverage: Mapping[str, float]


def sureness(run: Run) -> dict[str, Sureness]:
    """Measure each task of a run; the temperature is fitted on valid where another split was scored."""
    labels = {task: list(scores["per_label"]) for task, scores in run.metrics["tasks"].items()}
    beside = run.folder / "predictions-valid.jsonl"
    valid = read_predictions(beside) if run.metrics["split"] != "valid" and beside.exists() else []
    held_out = by_task([p for p in valid if p.task in labels], labels)
    found = {}
    for task, (gold, probabilities) in by_task(run.predictions, labels).items():
        right = probabilities.argmax(axis=1) == gold
        confidence = probabilities.max(axis=1)
        temperature = fit_temperature(held_out[task][1], held_out[task][0]) if task in held_out else None
        scaled = None if temperature is None else tempered(probabilities, temperature)
        cooled = None if scaled is None else scaled.max(axis=1)
        found[task] = Sureness(
            before=reliability_bins(confidence, right),
            ece_before=calibration_error(confidence, right),
            nll_before=log_loss(probabilities, gold),
            after=None if cooled is None else reliability_bins(cooled, right),
            ece_after=None if cooled is None else calibration_error(cooled, right),
            nll_after=None if scaled is None else log_loss(scaled, gold),
            temperature=temperature,
            coverage=accuracy_at_coverage(confidence, right),
        )
    return found


def reliability_figure(task: str, found: Sureness) -> Markup:
    """Return the reliability diagram of one task."""
    frame = Frame(x=(0, 1), y=(0, 1), width=320, height=300, right=20, top=20)
    total = sum(b["n"] for b in found.before)
    diagonal = tag("line", x1=frame.px(0), y1=frame.py(0), x2=frame.px(1), y2=frame.py(1), class_="diagonal")
    drawn = [diagonal, _bins(frame, found.before, total, "before")]
    told = f"ECE {found.ece_before:.3f}, NLL {found.nll_before:.3f}"
    key = [tag("span", f"● {told}", class_="before")]
    if found.after is not None:
        drawn.append(_bins(frame, found.after, total, "after"))
        scores = f"{found.ece_after:.3f}, {found.nll_after:.3f}"
        told += f"; {scores} after scaling"
        key += [Markup(" "), tag("span", f"○ {scores} at temperature {found.temperature:.2f}", class_="after")]
    label = f"Reliability diagram of {spoken(task)}: {told}"
    drawing = frame.drawing(label, frame.axes("probability of the answer", "share right"), drawn)
    return figure(["Reliability ", *key], drawing, class_="reliability")


def _bins(frame: Frame, bins: Sequence[Mapping[str, Any]], total: int, kind: str) -> Markup:
    marks = []
    for b in bins:
        x, y = frame.px(b["confidence"]), frame.py(b["accuracy"])
        told = f"{b['n']} records: {100 * b['confidence']:.0f}% sure, {100 * b['accuracy']:.0f}% right"
        gap = tag("line", x1=x, x2=x, y1=y, y2=frame.py(b["confidence"]), class_="gap")
        marks += [gap, tag("circle", tag("title", told), cx=x, cy=y, r=round(3 + 13 * (b["n"] / total) ** 0.5, 1))]
    return tag("g", *marks, class_=kind)


def coverage_section(found: Findings, measured: Mapping[str, Mapping[str, Sureness]]) -> list[Markup]:
    """Return a chart for each task: accuracy where only the surest share of the records is answered."""
    indices = {name: i for i, name in enumerate(found.runs)}
    tasks = dict.fromkeys(task for tasks in measured.values() for task in tasks)
    charts = []
    for task in tasks:
        lines = {}
        for name, by_name in measured.items():
            if task in by_name:
                shares = [(float(percent), 100 * share) for percent, share in by_name[task].coverage.items()]
                lines[name] = [Dot(x, y, y, y) for x, y in shares]
        charts.append(line_chart(spoken(task), lines, indices, ("% of records answered", "accuracy, %")))
    note = "The records that a run is least sure of are left to a person; the others are scored."
    return [
        group(list(found.runs), charts),
        tag("p", note, class_="legend-text"),
    ]
