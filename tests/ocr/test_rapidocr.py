"""RapidOCR reads drawn pages, strips and blanks."""

import pytest
from PIL import Image, ImageDraw, ImageFont

from kd_rag import ocr
from kd_rag.ocr.rapidocr import RapidOcr
from kd_rag.types import InputError

TEXTS = ["Order 48213", "Blue jacket", "Paid 59.90", "Shipped Monday"]


@pytest.fixture(scope="module")
def engine():
    return RapidOcr()


def page(texts=TEXTS, size=(240, 320)):
    picture = Image.new("RGB", size, "#f4f4f4")
    draw = ImageDraw.Draw(picture)
    for row, text in enumerate(texts):
        draw.text((12, 20 + 60 * row), text, fill="black", font=ImageFont.load_default(18))
    return picture


def test_reads_a_page_line_by_line(engine, capfd):
    """An engine that loses text or its place, or chatters on the screen."""
    lines = engine.read(page())
    assert [line.text for line in lines] == TEXTS
    assert all(0.9 < line.confidence <= 1 for line in lines)
    for row, line in enumerate(lines):
        left, top, right, bottom = line.box
        assert 0 <= left < 0.1 < right <= 1
        assert top < (30 + 60 * row) / 320 < bottom
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(1, 1), (20, 20), (2, 3000), (3000, 2), (224, 224)])
def test_pictures_without_text_give_no_lines(engine, size, capfd):
    """A blank or extreme picture that stops a run (RapidOCR refuses 2 x 3000), or warns once each."""
    assert engine.read(Image.new("RGB", size, "white")) == ()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [(1800, 40), (240, 3000)])
def test_strips_are_read_and_boxes_are_shares_of_the_strip(engine, size):
    """A box measured on the ground that the strip was put on."""
    strip = Image.new("RGB", size, "white")
    tops = range(4, size[1] - 30, 500)
    for top in tops:
        ImageDraw.Draw(strip).text((10, top), "Total 59.90", fill="black", font=ImageFont.load_default(28))
    lines = engine.read(strip)
    assert [line.text.replace(" ", "") for line in lines] == ["Total59.90"] * len(tops)
    for line, top in zip(lines, tops, strict=True):
        assert line.box[2] * size[0] == pytest.approx(160, abs=20)
        assert line.box[3] * size[1] == pytest.approx(top + 34, abs=15)


def test_min_confidence_drops_uncertain_lines(engine):
    assert RapidOcr(min_confidence=1.0).read(page()) == ()


def test_reading_twice_gives_the_same(engine):
    """A cache that would hide that results wander."""
    assert engine.read(page()) == engine.read(page())


@pytest.mark.parametrize(
    ("options", "key"),
    [({"min_confidence": 1.5}, "ocr.min_confidence"), ({"limit_side_pixels": 0}, "ocr.limit_side_pixels")],
)
def test_wrong_options_are_named(options, key):
    with pytest.raises(InputError, match=key):
        RapidOcr(**options)


def test_pool_and_cache_give_what_the_engine_gives(engine, tmp_path, monkeypatch):
    """Texts that depend on where and when they were read."""
    pages = {tmp_path / f"{i}.png": page([*TEXTS[: i % 4], f"Page {i}"]) for i in range(8)}
    for path, picture in pages.items():
        picture.save(path)
    expected = {path: engine.read(picture) for path, picture in pages.items()}
    assert ocr.read_pictures(list(pages), {"name": "rapidocr"}, tmp_path / "cache", processes=2) == expected
    monkeypatch.setattr("rapidocr.RapidOCR", None)
    assert ocr.read_pictures(list(pages), {"name": "rapidocr"}, tmp_path / "cache") == expected
