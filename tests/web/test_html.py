"""Outside text stays text on the page, and bars and boxes have the numbers' sizes."""

import re

from PIL import Image

from kd_rag.types import Passage, Retrieved, TextLine
from kd_rag.web import _html
from kd_rag.web.answer import Answer

BAD = "<script>alert('x')</script>"


def answer(**changes):
    given = {"probabilities": {BAD: 0.75, "b": 0.25}, "lines": (), "passages": (), "prompt": "p"}
    return Answer(**given | changes, preparing_seconds=0.1, scoring_seconds=0.2)


def test_nothing_from_outside_becomes_markup(tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    passage = Retrieved(Passage("1", "faq", BAD, BAD), 0.5)
    pages = [
        _html.probabilities({BAD: answer()}),
        _html.passages(answer(passages=(passage,))),
        _html.changes({BAD: {BAD: answer()}}),
        _html.picture(tmp_path / "a.png", (TextLine(BAD, 0.9, (0.1, 0.2, 0.5, 0.6)),)),
    ]
    for page in pages:
        assert "<script" not in page
        assert "&lt;script&gt;" in page


def test_bars_are_as_long_as_probabilities_and_in_the_first_models_order():
    page = _html.probabilities(
        {"one": answer(probabilities={"a": 0.2, "b": 0.8}), "two": answer(probabilities={"a": 1})}
    )
    assert re.findall(r"width:(\d+)px", page) == ["96", "1", "24", "120"]


def test_a_label_that_only_the_second_model_finds_likely_is_shown():
    many = {f"label{i}": (20 - i) / 210 for i in range(20)}
    page = _html.probabilities({"one": answer(probabilities=many), "two": answer(probabilities={"label19": 1.0})})
    assert "label19" in page
    assert "9 less likely labels are not shown" in page


def test_boxes_stand_where_the_lines_were_read(tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")
    page = _html.picture(tmp_path / "a.png", (TextLine("Total", 0.9, (0.1, 0.2, 0.5, 0.6)),))
    assert '<rect x="0.1000" y="0.2000" width="0.4000" height="0.4000"><title>Total (0.90)</title>' in page
