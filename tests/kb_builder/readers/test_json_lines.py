import json

import pytest

from kb_builder.chunking import Chunker
from kb_builder.readers import Reading
from kb_builder.readers.json_lines import read_json_lines, read_records
from kb_builder.sources import read_passages
from kd_rag.knowledge.content import words_digest
from kd_rag.retrievers._leak_guard import LeakGuard
from kd_rag.types import InputError, Query
from tests.knowledge.doubles import word_embedder

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
        "metadata": {
            "record_id": "r1",
            "words_digest": words_digest("Is this coat warm? Yes."),
            "label": "material",
            "task": "intent",
        },
    }


def test_all_pieces_of_a_long_record_are_kept_from_its_copy(tmp_path):
    """No piece has the words of the whole, and the copy has another id: both would let the label through."""
    text = " ".join(f"Sentence {i} of a long complaint." for i in range(20))
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({**RECORD, "turns": [{"role": "user", "text": text}]}))
    pieces = Chunker(word_embedder(max_tokens=40), 0).chunk(read_passages([path], Reading()))
    assert len(pieces) == 4
    guard = LeakGuard(pieces)
    assert guard.forbidden(Query("x", record_id="copy", record_text=text.upper())) == [0, 1, 2, 3]
    assert guard.forbidden(Query("x", record_id="other", record_text=text[:-10])) == []


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
