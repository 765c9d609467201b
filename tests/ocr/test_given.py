"""Text that records bring themselves."""

import pytest

from kd_rag import ocr
from kd_rag.types import InputError, Record, TextLine

LINES = ((TextLine("order 81", 1.0, (0, 0, 1, 1)),), ())


def test_lines_are_those_of_the_record_and_no_picture_is_opened(tmp_path):
    records = [
        Record("with", "t", (), (tmp_path / "gone.png", tmp_path / "too.png"), None, ocr=LINES),
        Record("without", "t", (), (), None),
    ]
    read = ocr.read_records(records, {"name": "given"}, tmp_path / "cache")
    assert read == {"with": LINES, "without": ()}
    assert not (tmp_path / "cache").exists()


def test_pictures_without_text_are_named_and_not_silently_empty(tmp_path):
    """A whole training run without a word of OCR because a key was misspelt."""
    record = Record("bare", "t", (), (tmp_path / "a.png",), None)
    with pytest.raises(InputError, match=r"record 'bare': has pictures and no `ocr`; .* ocr\.name=rapidocr"):
        ocr.read_records([record], {"name": "given"}, tmp_path)


def test_other_engines_leave_what_a_record_brings(tmp_path):
    record = Record("with", "t", (), (tmp_path / "a.png", tmp_path / "b.png"), None, ocr=LINES)
    assert ocr.read_records([record], {"name": "none"}, tmp_path) == {"with": ((), ())}
