"""The sections of plain facts: what a student kept of its teacher, what passages did, what runs cost, their settings.

In: `Findings`. Out: the content of each section.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from kd_rag.evaluation.distillation import Kept, kept
from kd_rag.evaluation.findings import Findings
from kd_rag.evaluation.html.frame import series_class
from kd_rag.evaluation.html.markup import Markup, Node, tag
from kd_rag.evaluation.html.scores import spoken
from kd_rag.evaluation.html.strips import bar
from kd_rag.evaluation.html.tables import cell, plain_table, table
from kd_rag.evaluation.legends import KEPT_LEGEND, NO_PASSAGES
from kd_rag.evaluation.passages import passage_tables
from kd_rag.evaluation.runs import Run
from kd_rag.evaluation.tables import ABSENT, configuration_differences

SHOWN_IDS = 40
"""Record ids listed for each student, task and kind."""
PARTS = {"both": "both right", "lost": "only teacher", "gained": "only student", "neither": "both wrong"}


def kept_section(found: Findings, link: Callable[[Run, str, str], Node]) -> list[Markup]:
    """Return what each student whose teacher is here kept; `link` shows a record of a run, by task and id."""
    if not found.taught:
        return [tag("p", "No run here was distilled from another one here.", class_="none")]
    rows, lists = [], []
    for student, teacher in found.taught.items():
        run = found.runs[student]
        for task, k in kept(found.runs[teacher].predictions, run.predictions).items():
            rows.append(_kept_row(student, teacher, task, k))
            for kind, ids in (("Lost", k.lost), ("Gained", k.gained)):
                if ids:
                    shown = [link(run, task, record) for record in ids[:SHOWN_IDS]]
                    more = [f"and {len(ids) - SHOWN_IDS} more"] if len(ids) > SHOWN_IDS else []
                    listed = [[node, " "] for node in (*shown, *more)]
                    lists.append(tag("p", tag("b", f"{kind} by {student}, {spoken(task)}: "), *listed, class_="ids"))
    heads = ["student", "agreement", "who is right", *PARTS.values()]
    head = [cell(name, header=True, scope="col", number=i == 1 or i > 2) for i, name in enumerate(heads)]
    return [
        table("Answers of student and teacher to the same records", head, rows),
        tag("p", KEPT_LEGEND, class_="legend-text"),
        tag("details", tag("summary", "The records that one of them alone has right"), *lists) if lists else Markup(""),
    ]


def _kept_row(student: str, teacher: str, task: str, k: Kept) -> list[Markup]:
    counts = {"both": k.both, "lost": len(k.lost), "gained": len(k.gained), "neither": k.neither}
    pieces = [tag("span", class_=kind, style=f"width:{100 * n / k.n:.1f}%") for kind, n in counts.items() if n]
    stack = tag("span", *pieces, class_="stack", aria_hidden="true")
    return [
        cell(student, tag("small", f"{spoken(task)}, of {teacher}", class_="below"), header=True),
        cell(f"{100 * k.agreed / k.n:.1f}%", number=True),
        cell(stack, class_="track"),
        *(cell(tag("span", class_=f"key {kind}", aria_hidden="true"), n, number=True) for kind, n in counts.items()),
    ]


def passage_section(found: Findings) -> list[Markup]:
    """Return what passages gave away, and which records they set right and wrong."""
    blocks = []
    for caption, (rows, legend) in passage_tables(found.runs).items():
        blocks += [plain_table(caption, rows), tag("p", legend, class_="legend-text")]
    return blocks or [tag("p", NO_PASSAGES, class_="none")]


def cost_section(found: Findings) -> list[Markup]:
    """Return what each run took: time, memory, weights, and the speed of its last evaluation."""
    measures: dict[str, Callable[[Run], tuple[float, str] | None]] = {
        "records/s": lambda run: _shown(_speed(run).get("records_per_second"), "{:.1f}"),
        "ms a batch": lambda run: _shown(_speed(run).get("median_batch_seconds"), "{:.0f}", 1000),
        "training time": lambda run: _wall(run.facts.get("wall_seconds")),
        "peak memory, MB": lambda run: _shown(run.facts.get("peak_memory_bytes", {}).get("process"), "{:,.0f}", 1e-6),
        "peak GPU memory, MB": lambda run: _shown(run.facts.get("peak_memory_bytes", {}).get("gpu"), "{:,.0f}", 1e-6),
        "trained weights": lambda run: _shown(run.facts.get("trainable_parameters"), "{:,.0f}"),
    }
    values = {name: [measure(run) for run in found.runs.values()] for name, measure in measures.items()}
    values = {name: column for name, column in values.items() if any(column)}
    rows = []
    for i, name in enumerate(found.runs):
        swatch = tag("span", class_=f"swatch {series_class(i)}", aria_hidden="true")
        rows.append([cell(swatch, name, header=True), *(_measured(column, i) for column in values.values())])
    head = [cell(name, header=True, scope="col", number=i > 0) for i, name in enumerate(["run", *values])]
    note = "Records a second are of the last `evaluate`; time and memory are of the whole training run, on its machine."
    return [table("Speed and memory", head, rows), tag("p", note, class_="legend-text")]


def _measured(column: Sequence[tuple[float, str] | None], i: int) -> Markup:
    found = column[i]
    if found is None:
        return cell(ABSENT, number=True)
    largest = max(value for value, _ in filter(None, column))
    return cell(found[1], bar(found[0] / largest if largest else 0.0, "thin"), number=True)


def _speed(run: Run) -> dict[str, Any]:
    path = run.folder / "speed.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _shown(value: float | None, form: str, factor: float = 1) -> tuple[float, str] | None:
    return None if value is None else (value, form.format(factor * value))


def _wall(seconds: float | None) -> tuple[float, str] | None:
    return None if seconds is None else (seconds, str(timedelta(seconds=round(seconds))))


def configuration_section(found: Findings) -> list[Markup]:
    """Return the keys that differ, what departs from the first run marked."""
    head, *body = configuration_differences(found.runs)
    if not body:
        return [tag("p", "The runs have the same configuration.", class_="none")]
    rows = []
    for key, first, *others in body:
        cells = [_setting(value, value != first) for value in others]
        rows.append([cell(tag("code", key), header=True), cell(tag("code", first)), *cells])
    names = [cell(name, header=True, scope="col") for name in head]
    note = f"Marked: other than in {next(iter(found.runs))}. Keys that all runs share are left out."
    return [table("Configuration differences", names, rows, class_="settings"), tag("p", note, class_="legend-text")]


def _setting(value: str, changed: bool) -> Markup:
    code = tag("code", value)
    return cell(tag("mark", code), class_="changed") if changed else cell(code)
