"""Small horizontal drawings that fit into a table's cell: an interval with its point, or a bar.

They stretch to the cell's width, so their marks are strokes that keep their own width.
"""

from __future__ import annotations

from collections.abc import Sequence

from kd_rag.evaluation.html.markup import Markup, tag


def interval_strip(
    domain: tuple[float, float],
    low: float,
    value: float,
    high: float,
    *,
    zero: float | None = None,
    diamonds: Sequence[float] = (),
    dots: Sequence[float] = (),
) -> Markup:
    """Return an interval with its point on `domain`.

    `zero` draws a rule, `diamonds` are figures of others and `dots` single seeds. It is decoration: the numbers
    stand in words beside it.
    """

    def at(x: float) -> float:
        return 2 + 96 * (min(max(x, domain[0]), domain[1]) - domain[0]) / (domain[1] - domain[0])

    marks = [tag("line", x1=2, x2=98, y1=7, y2=7, class_="rail")]
    if zero is not None:
        marks.append(tag("line", x1=at(zero), x2=at(zero), y1=0, y2=14, class_="zero"))
    marks.append(tag("line", x1=at(low), x2=at(high), y1=7, y2=7, class_="whisker"))
    marks += [tag("line", x1=at(d), x2=at(d), y1=7, y2=7, class_="seed") for d in dots]
    marks += [tag("line", x1=at(d), x2=at(d), y1=2, y2=12, class_="published") for d in diamonds]
    marks.append(tag("line", x1=at(value), x2=at(value), y1=7, y2=7, class_="dot"))
    box = {"viewBox": "0 0 100 14", "preserveAspectRatio": "none"}
    return tag("svg", *marks, class_="strip", aria_hidden="true", **box)


def bar(share: float, kind: str = "") -> Markup:
    """Return a bar that fills `share` (0 to 1) of its track."""
    fill = tag("span", style=f"width:{100 * share:.1f}%")
    return tag("span", fill, class_=f"bar {kind}".strip(), aria_hidden="true")
