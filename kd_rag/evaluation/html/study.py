"""The page of an ablation: variants with their seeds and published figures, curves by epoch, comparisons, failures.

In: variants, and the tables that stand in its Markdown. Out: the text of an HTML file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from kd_rag.evaluation.comparison import Compared
from kd_rag.evaluation.curves import Point, intervals, ordered
from kd_rag.evaluation.html.document import document
from kd_rag.evaluation.html.frame import group, series_class
from kd_rag.evaluation.html.lines import Dot, Published, line_chart
from kd_rag.evaluation.html.markup import Markup, tag
from kd_rag.evaluation.html.scores import comparison_table, floor_of, published_note, spoken
from kd_rag.evaluation.html.strips import interval_strip
from kd_rag.evaluation.html.tables import cell, plain_table, table
from kd_rag.evaluation.legends import ABLATION_EPOCHS_LEGEND, ABLATION_LEGEND, SEARCH_LEGEND
from kd_rag.evaluation.tables import ABSENT, Rows
from kd_rag.evaluation.variants import Variant, published_curves, scores_of, seed_curves

Span = tuple[float, float, float]
"""A mean and the ends of its interval."""

STRIP_LEGEND = """\
A pale dot is one seed. The line is the standard deviation over the seeds, of a single seed the 95% interval over its
records; bands of the curves likewise."""


def study_page(
    variants: Sequence[Variant],
    base: str,
    compared: Mapping[str, Compared],
    epochs: Rows,
    failures: Rows,
    trials: Rows,
) -> str:
    """Return the page; `epochs`, `failures` and `trials` are tables: by epoch, of what has no scores, of a search."""
    runs, failed = (sum(map(len, parts)) for parts in ([v.runs for v in variants], [v.failed for v in variants]))
    sections = {
        "Scores": _score_section(variants),
        "By epoch": _curve_section(variants, epochs),
        "Comparison": [
            tag("p", "Each variant against the base, ", tag("b", base), ", over the seeds that both have."),
            *comparison_table(compared, "variant", f"Differences from {base} on the same records"),
        ],
        "Failed or pruned": [plain_table("Runs without scores, and why", failures, headers=2)],
    }
    if trials:
        legend = tag("p", SEARCH_LEGEND, class_="legend-text")
        sections["Search"] = [plain_table("Trials", trials, headers=1), legend]
    subtitle = f"{len(variants)} variants · {runs} runs finished, {failed} failed or pruned · base: {base}"
    return document("Ablation", subtitle, sections)


def _score_section(variants: Sequence[Variant]) -> list[Markup]:
    spans = {v.name: _spans(v) for v in variants}
    shown = ordered(name for row in spans.values() for name in row)
    lows = [low for row in spans.values() for _, low, _ in row.values()]
    published = [figure for v in variants for figure in v.published.values()]
    domain = (floor_of([*lows, *published, 100.0]), 100.0)
    head = [cell(name, header=True, scope="col") for name in ("variant", *map(spoken, shown))]
    rows = [_row(v, i, spans[v.name], shown, domain) for i, v in enumerate(variants)]
    return [
        table(f"100 × weighted F1, drawn from {domain[0]:g} to 100", head, rows, class_="scores"),
        published_note(published),
        tag("p", ABLATION_LEGEND, " ", STRIP_LEGEND, class_="legend-text"),
    ]


def _row(
    variant: Variant,
    index: int,
    spans: Mapping[str, Span],
    shown: Sequence[str],
    domain: tuple[float, float],
) -> list[Markup]:
    swatch = tag("span", class_=f"swatch {series_class(index)}", aria_hidden="true")
    seeds = f"{len(variant.runs)} of {len(variant.runs) + len(variant.failed)} seeds"
    row = [cell(swatch, variant.name, tag("small", seeds, class_="below"), header=True)]
    scores = scores_of(variant)
    for name in shown:
        figures = [variant.published[name]] if name in variant.published else []
        stated = [tag("small", f"{figure:.2f}", class_="published-key") for figure in figures]
        if name not in spans:
            row.append(cell(ABSENT, *stated))
            continue
        mean, low, high = spans[name]
        spread = f" ± {mean - low:.2f}" if len(scores[name]) > 1 else f" {low:.1f} to {high:.1f}"
        strip = interval_strip(domain, low, mean, high, diamonds=figures, dots=scores[name])
        row.append(cell(tag("b", f"{mean:.2f}"), tag("small", spread), *stated, strip, class_="interval"))
    return row


def _spans(variant: Variant) -> dict[str, Span]:
    """Return the mean of each column and the ends of its interval."""
    if len(variant.runs) == 1:
        (run,) = variant.runs.values()
        ends = intervals(run.metrics)
        return {name: (values[0], *ends[name]) for name, values in scores_of(variant).items()}
    return {name: _mean_and_ends(values) for name, values in scores_of(variant).items()}


def _mean_and_ends(values: Sequence[float]) -> Span:
    mean, spread = fmean(values), stdev(values)
    return mean, mean - spread, mean + spread


def _curve_section(variants: Sequence[Variant], epochs: Rows) -> list[Markup]:
    curves = {v.name: found for v in variants if (found := seed_curves(v))}
    if not curves:
        return [tag("p", "No run was scored while it was trained.", class_="none")]
    published = _published(variants)
    indices = {v.name: i for i, v in enumerate(variants)}
    charts = []
    for column in ordered([*(column for found in curves.values() for column in found), *published]):
        lines = {
            name: [_dot(epoch, seeds) for epoch, seeds in sorted(found[column].items())]
            for name, found in curves.items()
            if column in found
        }
        axes = ("epoch", "weighted F1 × 100")
        charts.append(line_chart(spoken(column), lines, indices, axes, published.get(column, ())))
    return [
        group([v.name for v in variants], charts),
        published_note(list(published), key="published-key diamond"),
        plain_table("100 × weighted F1 on valid by epoch", epochs, headers=2),
        tag("p", ABLATION_EPOCHS_LEGEND, class_="legend-text"),
    ]


def _published(variants: Sequence[Variant]) -> dict[str, list[Published]]:
    """Return, by column, what others published of each variant and epoch."""
    found: dict[str, list[Published]] = {}
    for variant in variants:
        for column, figures in published_curves(variant).items():
            found.setdefault(column, []).extend(Published(variant.name, *figure) for figure in figures.items())
    return found


def _dot(epoch: float, seeds: Sequence[Point]) -> Dot:
    if len(seeds) == 1:
        return Dot(*seeds[0])
    return Dot(epoch, *_mean_and_ends([p.score for p in seeds]))
