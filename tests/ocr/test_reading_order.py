"""Reading order of lines."""

import random

import pytest

from kd_rag.ocr._reading_order import in_reading_order
from kd_rag.types import TextLine


def line(text, left, top, height=0.04):
    return TextLine(text, 0.9, (left, top, left + 0.2, top + height))


@pytest.mark.parametrize("seed", range(5))
def test_rows_from_the_top_each_from_the_left(seed):
    """A price that is read under another product because its box begins a pixel higher than its name's."""
    page = [
        line("name", 0.1, 0.102), line("price", 0.7, 0.1),
        line("colour", 0.1, 0.15), line("count", 0.7, 0.148, height=0.05),
        line("total", 0.1, 0.2), line("big sum", 0.6, 0.19, height=0.06),
    ]  # fmt: skip
    shuffled = random.Random(seed).sample(page, len(page))
    assert [found.text for found in in_reading_order(shuffled)] == [found.text for found in page]


def test_close_lines_stay_apart():
    """Two lines of a paragraph that are read as one row, and so in the order of their indents."""
    assert [f.text for f in in_reading_order([line("second", 0.0, 0.04), line("first", 0.1, 0.0)])] == [
        "first",
        "second",
    ]


def test_no_lines():
    assert in_reading_order([]) == ()
