"""Reading a file: good records arrive whole, and each fault names the file, the place, the id and the remedy."""

import json
import random
from pathlib import Path

import pytest
from PIL import Image

from kd_rag.data.records import find_faults, read_records
from kd_rag.types import InputError, Record, Turn

REMEDY = "write one object a line, or one array"


@pytest.fixture
def folder(tmp_path):
    """A folder with one good picture; noise, so that a JPEG that is cut really lacks pixels."""
    home = tmp_path / "data"
    home.mkdir()
    noise = random.Random(0).randbytes(64 * 48 * 3)
    Image.frombytes("RGB", (64, 48), noise).save(home / "good.jpg")
    return home


def row(**changes):
    return {
        "id": "r1",
        "task": "intent",
        "turns": [{"role": "user", "text": "Where is <image> now?"}],
        "images": ["good.jpg"],
        "label": "delivery",
        "metadata": {},
    } | changes


def without(key):
    return {name: value for name, value in row().items() if name != key}


def write(folder, *rows, name="train.jsonl"):
    path = folder / name
    lines = [line if isinstance(line, str) else json.dumps(line) for line in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def fault(path):
    """Return the one fault of a file, after checking that both ways of reading tell the same."""
    found = find_faults(path)
    assert len(found) == 1, found
    with pytest.raises(InputError) as error:
        read_records(path, decode=True)
    assert str(error.value) == found[0]
    return found[0]


def test_a_good_record_arrives_with_absolute_pictures(folder):
    path = write(folder, row())
    assert find_faults(path) == []
    assert read_records(path) == [
        Record(
            "r1", "intent", (Turn("user", "Where is <image> now?"),), ((folder / "good.jpg").resolve(),), "delivery", {}
        )
    ]


def test_a_relative_path_to_the_file_gives_absolute_pictures(folder, monkeypatch):
    """A picture path that hangs on the working folder breaks as soon as a worker runs elsewhere."""
    write(folder, row())
    monkeypatch.chdir(folder)
    assert read_records(Path("train.jsonl"))[0].images == ((folder / "good.jpg").resolve(),)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"id": "r1", "task"', f"is not JSON (column 20: Expecting ':' delimiter); {REMEDY}"),
        ('{"id": "r1"} {"id": "r2"}', f"is not JSON (column 14: Extra data); {REMEDY}"),
        ("5", "expected an object, found 5"),
        ("null", "expected an object, found null"),
        ('"text"', 'expected an object, found "text"'),
    ],
)
def test_lines_that_are_no_objects(folder, line, expected):
    assert fault(write(folder, row(id="r0"), line)) == f"{folder}/train.jsonl: line 2: {expected}"


FAULTS = [
    (without("id"), "id: is missing; it holds a string"),
    (without("task"), "task: is missing; it holds a string"),
    (row(id=7), "id: expected a string, found 7"),
    (row(id=" "), "id: is empty; give the record its id"),
    (row(task=None), "task: expected a string, found null"),
    (row(turns={}), "turns: expected a list, found {}"),
    (row(turns=["hi"]), 'turns[0]: expected an object, found "hi"'),
    (row(turns=[{"role": "user"}]), "turns[0].text: is missing; it holds a string"),
    (
        row(turns=[{"role": "usr", "text": ""}]),
        "turns[0].role: expected user or agent, found \"usr\"; did you mean 'user'?",
    ),
    (row(turns=[{"role": "user", "text": "", "at": 1}]), "turns[0].at: is not a key of this format; it has role, text"),
    (row(images="good.jpg"), 'images: expected a list, found "good.jpg"'),
    (row(images=[None]), "images[0]: expected a string, found null"),
    (row(label=3), "label: expected a string, found 3"),
    (row(label=""), 'label: is ""; write it without spaces around it, or null for a record without one'),
    (row(label="delivery "), 'label: is "delivery "; write it without spaces around it, or null'),
    (row(metadata=[]), "metadata: expected an object, found []"),
    (row(metadata={"labels": ["a", "a"]}), "metadata.labels: expected different strings that are not empty, found"),
    (row(metadata={"labels": None}), "metadata.labels: expected different strings that are not empty, found null"),
    (
        row(metadata={"labels": ["delay"]}),
        "label: 'delivery' is not one of the 1 labels that the record lists; the nearest",
    ),
    (row(lable="x"), "lable: is not a key of this format; did you mean 'label'?"),
    (row(turns=[], images=[]), "has no turns and no images; it needs one of them"),
    (row(images=[]), "has 1 <image> marks in its turns for 0 images; name the missing ones"),
    (
        row(turns=[{"role": "user", "text": "\ud83d"}]),
        "turns: holds half a surrogate pair, which is no character; write",
    ),
    (row(images=["none.jpg"]), "image 'none.jpg': is missing; it belongs to "),
    (row(images=[""]), "image '': is missing; it belongs to "),
    (row(images=["x" * 300]), "cannot be a file's name ("),
    (row(images=["a\0b"]), "cannot be a file's name (embedded null byte); rename it"),
    (row(images=["/etc/hostname"]), "image '/etc/hostname': is not a relative path; write where it lies as seen from "),
    (
        row(images=["../outside.jpg"]),
        "image '../outside.jpg': leads out of the record file's folder; put the picture into",
    ),
]


@pytest.mark.parametrize(("bad", "expected"), FAULTS, ids=[text[:40] for _, text in FAULTS])
def test_faults_name_file_line_id_and_remedy(folder, bad, expected):
    Image.new("RGB", (9, 9)).save(folder.parent / "outside.jpg")
    message = fault(write(folder, row(id="r0"), bad))
    identity = bad["id"] if isinstance(bad.get("id"), str) else "train-2"
    assert message.startswith(f"{folder}/train.jsonl: line 2, id {identity!r}: ")
    assert expected in message


def test_missing_turns_is_told_with_the_keys_that_are_there(folder):
    """Passages given as records by mistake must be recognisable from the message."""
    message = fault(write(folder, {"id": "p1", "truns": []}))
    assert message == (
        f"{folder}/train.jsonl: line 1: has none of the keys turns, messages, conversations, instruction, "
        """which tell the format; it has ["id", "truns"]; did you mean 'turns'?"""
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"score": NaN}', "NaN is not a JSON number; write null or a finite number"),
        ('{"score": -Infinity}', "-Infinity is not a JSON number; write null or a finite number"),
        ('{"score": 1e999}', "the number 1e999 is too large; write null or a finite number"),
        ('{"a": 1, "a": 2}', "key 'a' stands twice in one object; keep one of them"),
    ],
)
def test_what_plain_json_lets_pass(folder, text, expected):
    """NaN in the metadata ends in a report that no JSON reader opens; of a double key one value is lost in silence."""
    line = json.dumps(row()).replace('"metadata": {}', f'"metadata": {text}')
    assert fault(write(folder, line)) == f"{folder}/train.jsonl: line 1, id 'r1': {expected}"


def test_a_second_record_of_one_id(folder):
    """Predictions and caches are kept by id: two records with one id would share them."""
    message = fault(write(folder, row(), row(id="r2"), row()))
    assert message == f"{folder}/train.jsonl: line 3, id 'r1': line 1 has the same id; give every record its own"


@pytest.mark.parametrize("content", ["", "\n \n", "[]", "[ ]\n"])
def test_an_empty_file_is_an_error(folder, content):
    path = folder / "train.jsonl"
    path.write_text(content)
    assert fault(path) == f"{path}: holds no records; write one JSON object a line, or one array of objects"


def test_a_file_that_is_not_there(folder):
    assert fault(folder / "no.jsonl") == f"{folder}/no.jsonl: cannot be read (No such file or directory)"


def test_a_symbolic_link_may_not_lead_out_of_the_folder(folder):
    """A data set from elsewhere could otherwise pull private pictures into prompts and reports."""
    Image.new("RGB", (9, 9)).save(folder.parent / "private.jpg")
    (folder / "innocent.jpg").symlink_to(folder.parent / "private.jpg")
    message = fault(write(folder, row(images=["innocent.jpg"])))
    assert "image 'innocent.jpg': leads out of the record file's folder; put the picture into" in message


def test_a_link_that_leads_in_a_circle_is_missing(folder):
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    assert "image 'loop.jpg': is missing" in fault(write(folder, row(images=["loop.jpg"])))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
@pytest.mark.parametrize("decode", [True, False])
def test_files_that_are_no_pictures_are_found_by_their_header(folder, content, decode):
    """A download that saved an error page must not wait for the training run to be found."""
    (folder / "page.jpg").write_bytes(content)
    with pytest.raises(InputError, match=r"line 1, id 'r1': image 'page\.jpg': .* is not a picture"):
        read_records(write(folder, row(images=["page.jpg"])), decode=decode)


@pytest.mark.parametrize("decode", [True, False])
def test_a_picture_that_declares_too_many_pixels_is_refused_unread(folder, decode):
    """A PNG of a few kilobytes can unpack to gigabytes."""
    Image.new("1", (6000, 5000)).save(folder / "huge.png")
    with pytest.raises(InputError, match=r"id 'r1': image 'huge\.png': .* 6000 x 5000 pixels; .*25 megapixels"):
        read_records(write(folder, row(images=["huge.png"])), decode=decode)


def test_a_truncated_picture_is_found_when_decoded(folder):
    whole = (folder / "good.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    path = write(folder, row(images=["cut.jpg"]))
    assert "line 1, id 'r1': image 'cut.jpg': " in fault(path)
    assert "is a damaged picture" in fault(path)
    assert len(read_records(path)) == 1, "the header alone is sound; the pixels are read when they are used"


def test_one_pass_finds_all_faults(folder):
    """A user who mends one fault a run needs as many runs as the file has faults."""
    path = write(
        folder,
        row(id="a", images=["x.jpg", "y.jpg"], turns=[{"role": "me", "text": 1}]),
        "{",
        row(id="b"),
        row(id="a", label=""),
    )
    messages = [message.removeprefix(f"{path}: ") for message in find_faults(path)]
    assert [message.split(": ")[0] for message in messages] == ["line 1, id 'a'"] * 4 + ["line 2"] + [
        "line 4, id 'a'"
    ] * 2
    with pytest.raises(InputError, match=r"line 1, id 'a': turns\[0\]\.role"):
        read_records(path)


class TestChallengePictures:
    """The challenge's format names pictures without their folder."""

    def file(self, folder):
        record = {"id": "s1", "instruction": "Picture 1: <image>\n", "input": "", "output": "", "image": "['p.png']"}
        return write(folder, json.dumps([record]), name="train.json")

    @pytest.mark.parametrize("place", ["images", "."])
    def test_found_in_images_or_beside_the_file(self, folder, place):
        (folder / place).mkdir(exist_ok=True)
        Image.new("RGB", (9, 9)).save(folder / place / "p.png")
        (record,) = read_records(self.file(folder))
        assert record.images == ((folder / place / "p.png").resolve(),)
        assert (record.task, record.label) == ("image_scene", None)

    def test_missing_in_both_names_both(self, folder):
        message = fault(self.file(folder))
        assert message.startswith(f"{folder}/train.json: item 1, id 's1': image 'p.png': is missing; it belongs to ")
        assert message.endswith(f"{folder}/images/p.png or {folder}/p.png")

    def test_two_pictures_of_one_name_are_not_guessed_between(self, folder):
        (folder / "images").mkdir()
        for place in (folder, folder / "images"):
            Image.new("RGB", (9, 9)).save(place / "p.png")
        assert "image 'p.png': lies twice, as " in fault(self.file(folder))


def test_records_without_ids_are_numbered_after_their_file(folder):
    chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "greeting"}]}
    records = read_records(write(folder, chat, chat))
    assert [record.id for record in records] == ["train-1", "train-2"]
