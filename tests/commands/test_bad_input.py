"""What users send: each works as they would expect, or is named with its record and the reason; never a traceback."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from kd_rag import config as configuration
from kd_rag.cli import main
from kd_rag.commands._parts import build_preparation, read_data
from tests.test_pictures import jpeg, png_header


def encoded(picture, format, **options):
    content = io.BytesIO()
    picture.save(content, format, **options)
    return content.getvalue()


def sideways():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.new("RGB", (56, 84)), "JPEG", exif=exif)


def palette():
    picture = Image.new("P", (56, 56))
    picture.putpalette([0, 0, 0, 255, 0, 0])
    return encoded(picture, "PNG", transparency=0)


def sixteen_bit():
    return encoded(Image.fromarray(np.full((56, 56), 0xFFFF, dtype=np.uint16)), "PNG")


def animated(format):
    frames = [Image.new("RGB", (56, 56), colour) for colour in ("red", "blue")]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:])


PICTURES = {
    "CMYK": (encoded(Image.new("CMYK", (56, 84), (0, 255, 255, 0)), "JPEG"), (56, 84), (254, 0, 0)),
    "palette with transparency": (palette(), (56, 56), (255, 255, 255)),
    "16 bit": (sixteen_bit(), (56, 56), (255, 255, 255)),
    **{f"animated {f}": (animated(f), (56, 56), (255, 0, 0)) for f in ("GIF", "PNG", "WEBP")},
    "turned by EXIF": (sideways(), (84, 56), (0, 0, 0)),
}
BROKEN = {
    "0 bytes": (b"", "is not a picture; JPEG, PNG, WebP, GIF, BMP and TIFF are read"),
    "truncated": (jpeg()[: len(jpeg()) // 2], "is a damaged picture"),
    "30,000 x 30,000": (png_header(30_000, 30_000), "declares over 89 megapixels; 25 megapixels are the most"),
}


def row(name, text="Where is it?", images=(), label="refund"):
    turns = [{"role": "user", "text": text}]
    return {"id": name, "task": "intent", "turns": turns, "images": list(images), "label": label}


def write(folder, *rows):
    (folder / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return folder / "train.jsonl"


def check(path):
    return main("kd_rag", {"data": "kd_rag.commands.data"}, ["data", "check", str(path)])


def examples(path, *overrides):
    """Return what a run makes of a record file."""
    named = ["model.path=x", "ocr.name=none", f"data.train={path}", f"cache_dir={path.parent / 'cache'}", *overrides]
    config = configuration.load([], named)
    data = read_data(config, ["train"])
    return build_preparation(config, data.tasks).examples(data.records["train"], "train", config.student.prompt)


@pytest.mark.parametrize("kind", PICTURES)
def test_unusual_pictures_are_read_as_a_person_sees_them(tmp_path, capsys, kind):
    content, size, colour = PICTURES[kind]
    (tmp_path / "sent.img").write_bytes(content)
    path = write(tmp_path, row("r", "look <image>", ["sent.img"]))
    assert check(path) == 0
    (picture,) = examples(path)[0, 0].dialogue.pictures
    assert (picture.mode, picture.size) == ("RGB", size)
    assert picture.getpixel((5, 5)) == pytest.approx(colour, abs=2)


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_pictures_are_named_with_record_and_reason(tmp_path, capsys, kind):
    content, reason = BROKEN[kind]
    (tmp_path / "sent.img").write_bytes(content)
    path = write(tmp_path, row("good"), row("r", "look <image>", ["sent.img"]))
    assert check(path) == 2
    fault = capsys.readouterr().err.splitlines()[0]
    assert fault.startswith(f"{path}: line 2, id 'r': image 'sent.img': ")
    assert reason in fault
    (tmp_path / "log").mkdir()
    reading = ["ocr.name=tests.ocr.stub_engine:SizeReader", f"ocr.log={tmp_path / 'log'}"]
    for overrides in [], reading:  # a truncated one when it is decoded, for the prompt or to be read
        with pytest.raises(ValueError, match=r"'r'.*sent\.img") as error:
            examples(path, *overrides)[1, 0]
        assert reason in str(error.value)


def test_a_turn_of_a_megabyte_is_cut_to_its_budget(tmp_path, capsys, collator):
    path = write(tmp_path, row("long", "what? " * 170_000 + "my refund"))
    assert check(path) == 0
    example = examples(path)[0, 0]
    short = examples(write(tmp_path, row("long", "what? " * 2_000 + "my refund")))[0, 0]
    assert collator.encode(example).prompt == collator.encode(short).prompt, "the newest words, as of any long turn"


def test_five_pictures_and_two_markers(tmp_path, capsys, collator):
    names = [f"{i}.png" for i in range(5)]
    for i, name in enumerate(names):
        Image.new("RGB", (56, 56), (50 * i, 0, 0)).save(tmp_path / name)
    path = write(tmp_path, row("five", "first <image> then <image>", names))
    assert check(path) == 0
    encoded = collator.encode(examples(path)[0, 0])
    assert encoded.image_grid_thw.shape == (5, 3)
    dialogue = collator.processor.tokenizer.decode(encoded.prompt).partition("Dialogue:")[2]
    shown = re.sub(r"<\|vision_start\|>(<\|image_pad\|>){4}<\|vision_end\|>", "#", dialogue)
    assert shown.startswith("\n###Customer: first # then #\n"), "three in front, two where they were sent"
    reds = encoded.pixel_values.reshape(5, -1).mean(dim=1).tolist()
    assert reds == sorted(reds), "in the record's order"


def test_a_label_in_other_letter_case_is_named_with_the_place_of_the_first(tmp_path, capsys):
    """A label of its own, which a handful of records has and nothing ever predicts."""
    path = write(tmp_path, row("a"), row("b", label="Refund"))
    expected = f"{path}: line 2, id 'b': label: is 'Refund', and 'refund' in line 1; write both alike"
    assert check(path) == 2
    assert capsys.readouterr().err.splitlines()[0] == expected
    with pytest.raises(ValueError, match="write both alike"):
        examples(path)


def test_a_label_in_other_letter_case_than_the_configured_one_names_the_nearest(tmp_path):
    path = write(tmp_path, row("b", label="Refund"))
    with pytest.raises(ValueError, match=r"record 'b': label 'Refund' is not one of the 2 .* nearest is 'refund'"):
        examples(path, "tasks.intent.labels=[delivery,refund]")


def test_all_faults_of_a_file_are_listed_at_once(tmp_path, capsys):
    """A file that has to be checked as often as it has faults."""
    for name, (content, _) in zip("xyz", BROKEN.values(), strict=True):
        (tmp_path / f"{name}.img").write_bytes(content)
    rows = [row(name, "look <image>", [f"{name}.img"]) for name in "xyz"]
    path = write(tmp_path, row("a"), *rows, row("c", "<image>", ["x.img", "z.img"]), row("d", label="Refund"))
    assert check(path) == 2
    *faults, last = capsys.readouterr().err.splitlines()
    assert last == "kd_rag: error: 6 faults in 1 of 1 file"
    assert [fault.split("id ")[1][1] for fault in faults] == ["x", "y", "z", "c", "c", "d"]
    reasons = [reason for _, reason in BROKEN.values()]
    for reason, fault in zip([*reasons, reasons[0], reasons[2], "write both alike"], faults, strict=True):
        assert reason in fault
