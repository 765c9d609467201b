import json

import pytest

from kb_builder.readers import Reading
from kb_builder.readers.json_lines import LABEL_KEY, RECORD_KEY, read_json_lines, read_records
from kd_rag.retrievers import _leak_guard, examples
from kd_rag.types import InputError

RECORD = {
    "id": "r1",
    "task": "intent",
    "turns": [{"role": "user", "text": "<image> Is this coat warm?"}, {"role": "agent", "text": "Yes."}],
    "images": ["coat.png"],
    "label": "material",
}


@pytest.mark.parametrize(("suffix", "read"), [(".jsonl", read_json_lines), (".json", read_records)])
def test_a_labelled_record_becomes_an_example_that_knows_its_record(tmp_path, suffix, read):
    """Without the record's id in it, a record retrieves itself and reads off its own label."""
    path = tmp_path / f"train{suffix}"
    path.write_text(json.dumps(RECORD) if suffix == ".jsonl" else json.dumps([RECORD]))
    (entry,) = read(path, Reading())
    assert entry.fields == {
        "id": "example-r1",
        "kind": "example",
        "text": "Is this coat warm?\nYes.",
        "metadata": {"record_id": "r1", "label": "material", "task": "intent"},
    }


def test_the_keys_are_those_that_the_retrievers_look_for():
    assert (RECORD_KEY, LABEL_KEY) == (_leak_guard.RECORD_KEY, examples.LABEL_KEY)


def test_a_record_without_text_gives_no_example(tmp_path):
    path = tmp_path / "train.jsonl"
    picture = {**RECORD, "id": "r2", "turns": [{"role": "user", "text": "<image>"}]}
    path.write_text(f"{json.dumps(RECORD)}\n{json.dumps(picture)}")
    assert [e.fields["id"] for e in read_json_lines(path, Reading())] == ["example-r1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": None}, r"train\.jsonl: line 1: record 'r1' has no label; an example needs one"),
        ({"turns": 3}, r"train\.jsonl: line 1: turns"),
    ],
)
def test_a_bad_record_is_named(tmp_path, change, message):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({**RECORD, **change}))
    with pytest.raises(InputError, match=message):
        list(read_json_lines(path, Reading()))
