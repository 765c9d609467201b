"""What a person types becomes the record that was meant, or one sentence says what is wrong."""

import pytest
from PIL import Image

from kd_rag.types import InputError, Turn
from kd_rag.web.dialogue import MAX_CHARACTERS, record_of

NAMES = {"user": "user", "客服": "agent", "agent": "agent"}


def turns(text):
    return record_of(text, None, "intent", NAMES).turns


def test_turns_begin_with_who_speaks():
    assert turns("Hello\nagain\nAgent: Yes: what?\n客服：在的\nuser: Note: it\nis broken") == (
        Turn("user", "Hello\nagain"),
        Turn("agent", "Yes: what?"),
        Turn("agent", "在的"),
        Turn("user", "Note: it\nis broken"),
    )


def test_a_picture_alone_is_a_record(tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    record = record_of("", tmp_path / "a.png", "image_scene", NAMES)
    assert (record.turns, record.images, record.label) == ((), (tmp_path / "a.png",), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  \n", "dialogue: is empty"),
        ("user: see <image>", "1 <image> markers for 0 pictures"),
        ("a" * (MAX_CHARACTERS + 1), "20000 are the most"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        record_of(text, None, "intent", NAMES)


def test_a_picture_of_too_many_pixels_is_refused_by_its_name_alone(tmp_path):
    """A page must not show where on the machine its uploads lie."""
    Image.new("1", (6000, 6000)).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match=r"^huge\.png: has 6000 x 6000 pixels"):
        record_of("", tmp_path / "huge.png", "image_scene", NAMES)


def test_a_picture_with_a_damaged_body_is_refused_by_its_name_alone(tmp_path):
    Image.effect_noise((300, 300), 90).save(tmp_path / "torn.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "torn.png").read_bytes()[:20_000])
    with pytest.raises(InputError, match=r"^torn\.png: is a damaged picture"):
        record_of("", tmp_path / "torn.png", "image_scene", NAMES)
