"""Line charts of several runs: scores by epoch, and accuracy by the share of records that is answered.

In: points with or without intervals. Out: figures. A band is the interval; the points tell their numbers on hover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kd_rag.evaluation.html.frame import Frame, figure, series_class
from kd_rag.evaluation.html.markup import Markup, number, tag


class Dot(NamedTuple):
    """A point and the ends of its interval, which are both the point itself where there is none."""

    x: float
    y: float
    low: float
    high: float


def line_chart(
    caption: str, lines: Mapping[str, Sequence[Dot]], indices: Mapping[str, int], axes: tuple[str, str]
) -> Markup:
    """Return the figure of some series, whose colours are those of `indices`; `axes` are the titles of x and y."""
    dots = [dot for line in lines.values() for dot in line]
    xs = sorted({dot.x for dot in dots})
    room = (xs[-1] - xs[0]) * 0.04 or 0.5
    low = max(0.0, 10 * ((min(dot.low for dot in dots) - 1) // 10))
    high = min(100.0, 10 * (max(dot.high for dot in dots) // 10 + 1))
    frame = Frame(x=(xs[0] - room, xs[-1] + room), y=(low, high))
    drawn = [_line(frame, name, line, indices[name], axes[0]) for name, line in lines.items()]
    label = f"{caption}: {axes[1]} by {axes[0]} of {', '.join(lines)}"
    few = xs if len(xs) <= 8 else None
    return figure(caption, frame.drawing(label, frame.axes(axes[0], axes[1], few), drawn))


def _line(frame: Frame, name: str, dots: Sequence[Dot], index: int, unit: str) -> Markup:
    """Return one series: band, line and points."""
    path = [f"{frame.px(d.x)},{frame.py(d.y)}" for d in dots]
    above = [f"{frame.px(d.x)},{frame.py(min(d.high, 100))}" for d in dots]
    below = [f"{frame.px(d.x)},{frame.py(max(d.low, frame.y[0]))}" for d in reversed(dots)]
    parts = [tag("polyline", points=" ".join(path), class_="line")]
    if any(d.low < d.high for d in dots):
        if len(dots) > 1:
            parts.insert(0, tag("polygon", points=" ".join(above + below), class_="band"))
        else:
            x, (d,) = frame.px(dots[0].x), dots
            parts.insert(0, tag("line", x1=x, x2=x, y1=frame.py(d.low), y2=frame.py(min(d.high, 100)), class_="line"))
    for d in dots:
        interval = f" [{d.low:.1f}, {d.high:.1f}]" if d.low < d.high else ""
        told = tag("title", f"{name}: {d.y:.1f}{interval} at {unit} {number(d.x)}")
        parts.append(tag("circle", told, cx=frame.px(d.x), cy=frame.py(d.y), r=3))
    return tag("g", *parts, class_=series_class(index), data_series=index)
