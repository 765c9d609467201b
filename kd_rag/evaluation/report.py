"""Pages that set runs side by side: scores with intervals, curves, weak labels, differences, errors.

In: run folders. Out: `report.md` and `report.html`, and the first table for the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kd_rag.durable import write_whole
from kd_rag.evaluation import tables
from kd_rag.evaluation.curves import by_epoch
from kd_rag.evaluation.distillation import kept_table
from kd_rag.evaluation.findings import Findings, find
from kd_rag.evaluation.html.page import report_page
from kd_rag.evaluation.legends import COMPARISON_LEGEND, EPOCHS_LEGEND, KEPT_LEGEND, NO_PASSAGES, SCORES_LEGEND
from kd_rag.evaluation.markdown import cell, table
from kd_rag.evaluation.passages import passage_tables
from kd_rag.evaluation.runs import read_run
from kd_rag.evaluation.tables import Rows
from kd_rag.types import InputError

PAGES = ("report.md", "report.html")


def write_report(runs: Sequence[Path], out: Path) -> str:
    """Write both pages about the run folders, in their order, into `out`; return the scores table as aligned text.

    `out` may exist, but a report in it is never overwritten. Raises InputError naming what a run lacks.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out names the folder that both pages are written into")
    for page in PAGES:
        if (out / page).exists():
            raise InputError(f"{out / page} exists already; remove it, or choose another folder with --out")
    found = find([read_run(folder) for folder in runs])
    scores = tables.score_table(found.scored)
    written = dict(zip(PAGES, (_markdown(found, scores), report_page(found)), strict=True))
    for page, text in written.items():
        write_whole(out / page, [text.encode()])
    return _aligned(scores)


def _markdown(found: Findings, scores: Rows) -> str:
    curves = {
        name: {column: {p.epoch: p.score for p in points} for column, points in curve.items()}
        for name, curve in found.curves.items()
    }
    sections = {
        "Scores": [table(scores), SCORES_LEGEND, *_records_warning(found)],
        "By epoch": [table(by_epoch(curves, [], "run")), EPOCHS_LEGEND],
        "Compared with the first run": _comparisons(found),
        "Kept of the teacher": [table(kept_table(found.runs, found.taught)), KEPT_LEGEND],
        "Passages": _passages(found),
        "Weakest labels": [table(tables.weakest_labels(found.runs))],
        "Configuration differences": [table(tables.configuration_differences(found.runs))],
        "Most confident errors": [table(tables.confident_errors(found.runs))],
    }
    parts = [part for title, blocks in sections.items() for part in (f"## {title}", *blocks)]
    return "\n\n".join(["# Report", *parts]) + "\n"


def _comparisons(found: Findings) -> list[str]:
    legend = f"Compared with {cell(found.first)}. {COMPARISON_LEGEND}"
    return [
        table(tables.comparison_table(found.compared)),
        *([legend] if found.compared else []),
        *map(cell, tables.left_out(found.compared)),
    ]


def _passages(found: Findings) -> list[str]:
    shown = passage_tables(found.runs).values()
    return [block for rows, legend in shown for block in (table(rows), legend)] or [NO_PASSAGES]


def _records_warning(found: Findings) -> list[str]:
    return ["**The runs were scored on different records.**"] if tables.left_out(found.compared) else []


def _aligned(rows: Rows) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
