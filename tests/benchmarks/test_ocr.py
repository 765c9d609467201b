"""What counts as a wrong character."""

import pytest

from benchmarks.ocr import errors


@pytest.mark.parametrize(
    ("read", "known", "in_order", "by_line"),
    [
        (["Order 81", "Pay"], ["order81", "PAY"], 0, 0),
        (["Pay", "Order 81"], ["Order 81", "Pay"], 6, 0),
        (["0rder 81"], ["Order 81", "Pay"], 4, 4),
        (["Order", "81"], ["Order 81"], 0, 4),
        (["Order 81", "退款"], ["Order 81"], 2, 2),
        ([], ["Pay"], 3, 3),
    ],
)
def test_errors_by_hand(read: list[str], known: list[str], in_order: int, by_line: int) -> None:
    assert errors(read, known) == (in_order, by_line)
