"""Lines of text in the order in which a person reads a page.

In: lines with boxes, in any order. Out: the same lines, row after row from the top, each row from left to right.
Columns are read across, row by row, because a phone page's columns are mostly a name and its value.
"""

from __future__ import annotations

from collections.abc import Iterable

from kd_rag.types import TextLine


def in_reading_order(lines: Iterable[TextLine]) -> tuple[TextLine, ...]:
    """Sort lines into rows: two are in one row when their middles are nearer than half their mean height."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: (_middle(line), line.box)):
        if rows and _in_one_row(rows[-1][0], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return tuple(line for row in rows for line in sorted(row, key=lambda line: line.box))


def _in_one_row(one: TextLine, other: TextLine) -> bool:
    mean_height = (_height(one) + _height(other)) / 2
    return abs(_middle(one) - _middle(other)) < mean_height / 2


def _middle(line: TextLine) -> float:
    return (line.box[1] + line.box[3]) / 2


def _height(line: TextLine) -> float:
    return line.box[3] - line.box[1]
