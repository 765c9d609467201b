"""The yardstick of denoising measures the text that a prompt would show."""

import pytest

from benchmarks import denoise
from kd_rag.types import Record, Task, TextLine


def test_a_reader_shows_what_fits_and_the_most_telling_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def words(text: str, tokens: int, keep: str) -> tuple[str, int]:
        return " ".join(text.split()[:tokens]), min(tokens, len(text.split()))

    monkeypatch.setattr(denoise, "_cut", words)
    record, task = Record("r", "t", (), (), "a"), Task("t", ("a",), "")
    plain = tuple(TextLine(text, 1.0, (0, 0, 1, 1)) for text in ("one two", "three", "four"))
    assert denoise.Reader(9)(record, task, (plain,)).split() == ["one", "two", "three", "four"]
    ranked = tuple(TextLine(line.text, 1.0, line.box, rank) for line, rank in zip(plain, (0.1, 0.2, 0.3), strict=True))
    assert denoise.Reader(2)(record, task, (ranked,)).split() == ["three", "four"]


def test_texts_that_tell_their_label_score_full_marks() -> None:
    texts = ["refund of order", "parcel on its way"] * 10
    assert denoise.score(texts, ["refund", "parcel"] * 10) == (100, 0)
    assert denoise.score(["same"] * 20, ["refund", "parcel"] * 10)[0] < 60
