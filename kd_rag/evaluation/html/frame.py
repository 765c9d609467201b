"""The frame of a chart: linear scales, axes with round ticks, and the figure around it.

In: the ranges of the data. Out: positions in units of the drawing, and SVG. Colours and fonts are the style sheet's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kd_rag.evaluation.html.markup import Markup, Node, tag

COLOURS = 8
"""Series colours of the style sheet; further series repeat them with another dash."""
FEW = 5
"""So many bands can be told apart where they overlap; of more series only those brought to the fore show theirs."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Ranges of the data, and the drawing's size and margins in its own units."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 360
    height: float = 230
    left: float = 40
    right: float = 12
    top: float = 12
    bottom: float = 40

    def px(self, x: float) -> float:
        """Return where a value lies from the left."""
        share = (x - self.x[0]) / (self.x[1] - self.x[0])
        return round(self.left + share * (self.width - self.left - self.right), 1)

    def py(self, y: float) -> float:
        """Return where a value lies from the top."""
        share = (y - self.y[0]) / (self.y[1] - self.y[0])
        return round(self.height - self.bottom - share * (self.height - self.top - self.bottom), 1)

    def axes(self, x_title: str, y_title: str, x_ticks: Sequence[float] | None = None) -> list[Markup]:
        """Return grid lines, their numbers and the titles of both axes."""
        floor, drawn = self.height - self.bottom, []
        for y in ticks(*self.y):
            drawn.append(
                tag("line", class_="grid", x1=self.left, x2=self.width - self.right, y1=self.py(y), y2=self.py(y))
            )
            drawn.append(tag("text", f"{y:g}", class_="tick", x=self.left - 6, y=self.py(y) + 3.5, text_anchor="end"))
        for x in ticks(*self.x) if x_ticks is None else x_ticks:
            drawn.append(tag("line", class_="grid", x1=self.px(x), x2=self.px(x), y1=floor, y2=floor + 4))
            drawn.append(tag("text", f"{x:g}", class_="tick", x=self.px(x), y=floor + 16, text_anchor="middle"))
        middle = (self.left + self.width - self.right) / 2
        drawn.append(tag("text", x_title, class_="axis", x=middle, y=self.height - 5, text_anchor="middle"))
        turned = {"transform": f"translate(10 {(self.top + floor) / 2:.1f}) rotate(-90)"}
        drawn.append(tag("text", y_title, class_="axis", text_anchor="middle", **turned))
        return drawn

    def drawing(self, label: str, *content: Node) -> Markup:
        """Return the SVG, read out as `label`."""
        box = {"viewBox": f"0 0 {self.width:g} {self.height:g}"}
        return tag("svg", *content, class_="chart", role="img", aria_label=label, **box)


def ticks(low: float, high: float) -> list[float]:
    """Return four to eight round numbers within a range."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def figure(caption: Node, drawing: Node, *, class_: str = "") -> Markup:
    """Return a chart under its caption."""
    return tag("figure", tag("figcaption", caption), drawing, class_=class_ or None)


def series_class(index: int) -> str:
    """Return the classes that give a series its colour and dash."""
    return f"s{index % COLOURS} d{index // COLOURS % 3}"


def group(names: Sequence[str], charts: Sequence[Markup]) -> Markup:
    """Return charts of the same series under their key; the script makes its buttons bring one to the fore."""
    key = _legend(names) if len(names) > 1 else None
    many = " many" if len(names) > FEW else ""
    return tag("div", key, tag("div", *charts, class_="charts"), class_=f"group{many}")


def _legend(names: Sequence[str]) -> Markup:
    entries = []
    for i, name in enumerate(names):
        line = tag("svg", tag("line", x1=1, x2=25, y1=5, y2=5, class_="line"), aria_hidden="true", width=26, height=10)
        button = tag("button", line, name, type="button", data_series=i, aria_pressed="false", class_=series_class(i))
        entries.append(tag("li", button))
    return tag("ul", *entries, class_="legend", aria_label="Series; choose one to bring it to the fore")
