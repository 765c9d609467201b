"""The sections that rank: scores beside published figures, comparisons on the same records, curves by epoch.

In: `Findings`. Out: the content of each section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kd_rag.evaluation.comparison import Compared
from kd_rag.evaluation.curves import by_epoch, columns, intervals, ordered
from kd_rag.evaluation.findings import Findings
from kd_rag.evaluation.html.frame import group, series_class
from kd_rag.evaluation.html.lines import Dot, line_chart
from kd_rag.evaluation.html.markup import Markup, tag
from kd_rag.evaluation.html.strips import interval_strip
from kd_rag.evaluation.html.tables import cell, plain_table, table
from kd_rag.evaluation.legends import COMPARISON_LEGEND, EPOCHS_LEGEND, SCORES_LEGEND
from kd_rag.evaluation.tables import ABSENT, Scored, left_out, mean_over_tasks

BANDS_LEGEND = """\
Bands are 95% intervals over the records, of many runs those of the ones chosen above; that of the average takes the
tasks as independent."""
VERDICTS = {"better": "good", "worse": "bad", "within noise": "noise"}


def score_section(found: Findings) -> list[Markup]:
    """Return the scores of runs and baselines, each with its interval drawn, and published figures beside them."""
    shown = ordered([name for row in found.scored for name in columns(row.metrics)])
    ends = [end for row in found.scored if row.facts for end, _ in intervals(row.metrics).values()]
    published = [value for row in found.scored for value in row.published.values()]
    domain = (floor_of([*ends, *published]), 100.0)
    heads = ["run", *(spoken(n) for n in shown), "NLL", "ECE"]
    head = [cell(name, header=True, scope="col", number=i > len(shown)) for i, name in enumerate(heads)]
    rows = [_score_row(row, index, shown, domain) for index, row in enumerate(found.scored)]
    warning = "The runs were scored on different records."
    return [
        *([tag("p", warning, class_="warning", role="note")] if left_out(found.compared) else []),
        table(f"100 × weighted F1 with 95% intervals, drawn from {domain[0]:g} to 100", head, rows, class_="scores"),
        published_note(published),
        tag("p", SCORES_LEGEND, class_="legend-text"),
    ]


def published_note(published: Sequence[object], key: str = "published-key") -> Markup:
    """Return what the mark of published figures, drawn by the classes `key`, means; nothing where there is none."""
    if not published:
        return Markup("")
    return tag(
        "p",
        tag("span", class_=key),
        " published figure of this setting, by others on their own test set.",
        class_="legend-text",
    )


def _score_row(row: Scored, index: int, shown: Sequence[str], domain: tuple[float, float]) -> list[Markup]:
    scores, ends, tasks = columns(row.metrics), intervals(row.metrics), row.metrics["tasks"]
    swatch = tag("span", class_=f"swatch {series_class(index)}", aria_hidden="true") if row.facts else None
    scored_on = f"{row.kind} · {sum(t['n'] for t in tasks.values())} {row.metrics['split']} records"
    cells = [cell(swatch, row.name, tag("small", scored_on, class_="below"), header=True)]
    for name in shown:
        if name not in scores:
            cells.append(cell(ABSENT))
            continue
        low, high = ends[name]
        told = [tag("b", f"{scores[name]:.1f}"), tag("small", f" {low:.1f} to {high:.1f}")]
        diamonds = [row.published[name]] if name in row.published else []
        if diamonds:
            told.append(tag("small", f"{diamonds[0]:.2f}", class_="published-key"))
        cells.append(cell(*told, interval_strip(domain, low, scores[name], high, diamonds=diamonds), class_="interval"))
    cells += [cell(mean_over_tasks(row, key), number=True) for key in ("nll", "ece")]
    return cells


def comparison_section(found: Findings) -> list[Markup]:
    """Return how each run compares with the first, differences drawn about zero."""
    if not found.compared:
        return [
            tag("p", "There is nothing to compare; name several runs that differ by more than the seed.", class_="none")
        ]
    blocks = [tag("p", "Each method against ", tag("b", found.first), "; runs that differ by seed alone are one.")]
    blocks += comparison_table(found.compared, "method", f"Differences from {found.first} on the same records")
    return blocks


def comparison_table(compared: Mapping[str, Compared], first: str, caption: str) -> list[Markup]:
    """Return the table of comparisons, what its figures mean and what has none; `first` heads the names."""
    notes = [tag("p", sentence) for sentence in left_out(compared)]
    every = [c for model in compared.values() for c in model.found.values()]
    if not every:
        return [tag("p", "None.", class_="none"), *notes]
    rows = []
    widest = max(100 * max(abs(c.low), abs(c.high)) for c in every) or 1.0
    for name, model in compared.items():
        for task, c in model.found.items():
            strip = interval_strip((-widest, widest), 100 * c.low, 100 * c.difference, 100 * c.high, zero=0)
            told = [tag("b", _signed(c.difference)), tag("small", f" {_signed(c.low)} to {_signed(c.high)}")]
            rows.append([
                cell(name, tag("small", spoken(task), class_="below"), header=True),
                cell(*told, strip, class_="interval"),
                cell(tag("span", c.verdict, class_=f"verdict {VERDICTS[c.verdict]}")),
                *(cell(x, number=True) for x in (f"{c.p:.3f}", c.only_first, c.only_second, f"{c.mcnemar_p:.3f}")),
            ])  # fmt: skip
    heads = [first, "difference", "verdict", "p", "only first right", "only this right", "McNemar p"]
    head = [cell(name, header=True, scope="col", number=i > 2) for i, name in enumerate(heads)]
    return [table(caption, head, rows), tag("p", COMPARISON_LEGEND, class_="legend-text"), *notes]


def curve_section(found: Findings) -> list[Markup]:
    """Return one chart for each column of the scores, and their table."""
    curves = {name: curve for name, curve in found.curves.items() if curve}
    if not curves:
        return [tag("p", "None of the runs was scored while it was trained.", class_="none")]
    indices = {name: i for i, name in enumerate(found.runs)}
    charts = []
    for column in ordered([column for curve in curves.values() for column in curve]):
        lines = {name: [Dot(*p) for p in curve[column]] for name, curve in curves.items() if column in curve}
        charts.append(line_chart(spoken(column), lines, indices, ("epoch", "weighted F1 × 100")))
    values = {n: {c: {p.epoch: p.score for p in points} for c, points in curve.items()} for n, curve in curves.items()}
    numbers = plain_table("100 × weighted F1 on valid by epoch", by_epoch(values, [], "run"), headers=2)
    return [
        group(list(found.runs), charts),
        tag("p", EPOCHS_LEGEND, " ", BANDS_LEGEND, class_="legend-text"),
        tag("details", tag("summary", "The same as numbers"), numbers),
    ]


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def floor_of(values: Sequence[float]) -> float:
    """Return the ten below the lowest value, from which a drawing of scores may start."""
    return max(0.0, 10 * ((min(values) - 1) // 10))


def spoken(name: str) -> str:
    """Return a task's name as words."""
    return name.replace("_", " ")
