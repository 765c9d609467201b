import json

import pytest

from kb_builder.benchmark import read_benchmark
from kd_rag.types import InputError

PASSAGES = [{"id": f"p{i}", "kind": "faq", "title": "", "text": text} for i, text in enumerate(["one", "two"])]
QUERIES = [{"id": "q1", "text": "first", "metadata": {"product": "x"}}, {"id": "q2", "text": "second"}]
GRADES = "query\tpassage\tgrade\nq1\tp0\t2\nq1\tp1\t0\nq2\tp1\t0\n"


@pytest.fixture
def write(tmp_path):
    """Write a benchmark, with one of its files replaced."""

    def build(**files):
        contents = {
            "kb.jsonl": "\n".join(map(json.dumps, PASSAGES)),
            "queries.jsonl": "\n".join(map(json.dumps, QUERIES)),
            "qrels.tsv": GRADES,
        } | {name.replace("_", "."): text for name, text in files.items()}
        for name, text in contents.items():
            if text is not None:
                (tmp_path / name).write_text(text)
        return tmp_path

    return build


def test_queries_without_an_answer_are_left_out_and_grade_0_is_no_answer(write):
    """A query that nothing answers has no recall: counted as 0 it would lower every retriever alike."""
    benchmark = read_benchmark(write())
    assert [(query.id, query.turns[0].text, query.metadata) for query in benchmark.queries] == [
        ("q1", "first", {"product": "x"})
    ]
    assert benchmark.grades == {"q1": {"p0": 2}}
    assert [passage.id for passage in benchmark.passages] == ["p0", "p1"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"qrels_tsv": None}, "has no qrels.tsv; a benchmark is kb.jsonl, queries.jsonl and qrels.tsv"),
        ({"qrels_tsv": "h\nq1 p0 1\n"}, "qrels.tsv: line 2: must be a query id, a passage id and a whole grade"),
        ({"qrels_tsv": "h\nq1\tp0\t-1\n"}, "qrels.tsv: line 2: must be a query id"),
        ({"qrels_tsv": "h\n\nq9\tp0\t1\n"}, "qrels.tsv: line 3: queries.jsonl has no id 'q9'"),
        ({"qrels_tsv": "h\nq1\tp9\t1\n"}, "qrels.tsv: line 2: kb.jsonl has no id 'p9'"),
        ({"qrels_tsv": "h\nq1\tp0\t0\n"}, "qrels.tsv: names no passage that answers a query"),
        ({"queries_jsonl": '{"id": "q1"}'}, "queries.jsonl: line 1: must be an object whose id and text are texts"),
        ({"queries_jsonl": "{"}, "queries.jsonl: line 1: is not JSON"),
        ({"queries_jsonl": '{"id": "q", "text": "", "metadata": 3}'}, "line 1: metadata is 3; it must be an object"),
        ({"queries_jsonl": '{"id": "q", "text": ""}\n' * 2}, "line 2: the id 'q' stands there a second time"),
    ],
)
def test_each_fault_names_file_and_line(write, files, said):
    with pytest.raises(InputError, match=said):
        read_benchmark(write(**files))
