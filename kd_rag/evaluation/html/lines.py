"""Line charts of several runs: scores by epoch, and accuracy by the share of records that is answered.

In: points with or without intervals, and what others published. Out: figures. A band is the interval, a diamond a
published figure; points and diamonds tell their numbers on hover.
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


class Published(NamedTuple):
    """What others published of a series."""

    series: str
    x: float
    y: float


def line_chart(
    caption: str,
    lines: Mapping[str, Sequence[Dot]],
    indices: Mapping[str, int],
    axes: tuple[str, str],
    published: Sequence[Published] = (),
) -> Markup:
    """Return the figure of some series, whose colours are those of `indices`; `axes` are the titles of x and y."""
    dots = [dot for line in lines.values() for dot in line]
    own = sorted({dot.x for dot in dots})
    xs = [*own, *(mark.x for mark in published)]
    ys = [*(end for dot in dots for end in (dot.low, dot.high)), *(mark.y for mark in published)]
    room = (max(xs) - min(xs)) * 0.04 or 0.5
    low, high = max(0.0, 10 * ((min(ys) - 1) // 10)), min(100.0, 10 * (max(ys) // 10 + 1))
    frame = Frame(x=(min(xs) - room, max(xs) + room), y=(low, high))
    drawn = [_line(frame, name, line, indices[name], axes[0]) for name, line in lines.items()]
    drawn += [_diamond(frame, mark, indices[mark.series], axes[0]) for mark in published]
    names = dict.fromkeys([*lines, *(mark.series for mark in published)])
    label = f"{caption}: {axes[1]} by {axes[0]} of {', '.join(names)}"
    few = own if 0 < len(own) <= 8 else None
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


def _diamond(frame: Frame, mark: Published, index: int, unit: str) -> Markup:
    """Return a published figure in the colour of its series, with which it is brought to the fore."""
    told = tag("title", f"{mark.series}, published: {mark.y:.2f} at {unit} {number(mark.x)}")
    path = f"M{frame.px(mark.x)},{frame.py(mark.y)}m0,-5l5,5 -5,5 -5,-5z"
    return tag("g", tag("path", told, d=path, class_="published"), class_=series_class(index), data_series=index)
