"""Scales and ticks: a point drawn in the wrong place is a wrong number."""

import pytest

from kd_rag.evaluation.html.frame import Frame, series_class, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (70, 100, [70, 80, 90, 100]),
        (0.4, 7.1, [2, 4, 6]),
        (90, 100, [90, 92, 94, 96, 98, 100]),
    ],
)
def test_ticks_are_round_and_within_the_range(low, high, expected):
    found = ticks(low, high)
    assert found[0] >= low
    assert found[-1] <= high
    assert found == pytest.approx(expected)


def test_the_frame_maps_corners_to_corners():
    frame = Frame(x=(1, 3), y=(50, 100), width=100, height=80, left=10, right=20, top=5, bottom=15)
    assert (frame.px(1), frame.px(2), frame.px(3)) == (10, 45, 80)
    assert (frame.py(50), frame.py(100)) == (65, 5)


def test_twenty_series_look_different():
    assert len({series_class(i) for i in range(20)}) == 20
