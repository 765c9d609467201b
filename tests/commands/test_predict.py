"""What `predict` writes: a file cut at any byte is completed to the same bytes, and the challenge's table."""

import pytest

from kd_rag.data.submission import write_submission
from kd_rag.evaluation.journal import Journal
from kd_rag.evaluation.predictions import Prediction, as_line
from kd_rag.types import InputError


def line(name):
    return Prediction(name, "intent", None, "refund", {"order_page": 0.25, "refund": 0.75}, [], "")


def test_a_half_written_line_is_cut_and_another_source_refused(tmp_path):
    """Lines of another model below those of this one would be a file that nobody can explain."""
    path = tmp_path / "out.jsonl"
    Journal.open(path, {"input": "a"}).append([line("1"), line("2")])
    whole = path.read_bytes()
    for end in range(len(as_line(line("1"))), len(whole)):
        path.write_bytes(whole[:end])
        journal = Journal.open(path, {"input": "a"})
        assert journal.finished == ["1"]
        journal.append([line("2")])
        assert path.read_bytes() == whole
    with pytest.raises(InputError, match="was begun with input 'a', now it is 'b'"):
        Journal.open(path, {"input": "b"})


def test_the_challenges_table(tmp_path):
    row = {"id": "1", "instruction": 'a "b",\nc', "image": ["x.jpg"]}
    write_submission(tmp_path / "a.csv", [row, row, {"id": "2", "instruction": "", "image": []}], {"1": "气泡"})
    expected = '\ufeffid,instruction,image,predict\n1,"a ""b"",\nc",[\'x.jpg\'],气泡\n'
    assert (tmp_path / "a.csv").read_bytes() == expected.encode()
