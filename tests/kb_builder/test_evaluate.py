"""The table of the retrievers on a benchmark whose scores can be told by hand."""

import json

import numpy as np
import pytest

from kb_builder.__main__ import COMMANDS
from kd_rag.cli import main
from kd_rag.retrievers import _search
from tests.knowledge.doubles import word_embedder

TEXTS = {"coat": "red coat keeps rain out", "shoe": "blue shoe for running", "hat": "green hat against sun"}
LONG = "A long passage speaks of boots. " * 12 + "At its end stands the word galoshes."


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [{"id": name, "kind": "product", "title": "", "text": text} for name, text in TEXTS.items()]
    rows.append({"id": "long", "kind": "faq", "title": "", "text": LONG})
    (tmp_path / "kb.jsonl").write_text("\n".join(map(json.dumps, rows)))
    queries = [("q1", "keeps out rain", {}), ("q2", "zzz", {"product": "blue shoe"}), ("q3", "galoshes", {})]
    lines = [json.dumps({"id": i, "text": text, "metadata": metadata}) for i, text, metadata in queries]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines))
    (tmp_path / "qrels.tsv").write_text("query\tpassage\tgrade\nq1\tcoat\t1\nq2\tshoe\t1\nq2\that\t1\nq3\tlong\t1\n")
    monkeypatch.setattr("kd_rag.knowledge.embedder.load_embedder", lambda *_: word_embedder(max_tokens=40))

    def call(*argv):
        code = main("python -m kb_builder", COMMANDS, ["evaluate", ".", "knowledge.overlap_tokens=0", *argv])
        said = capsys.readouterr()
        assert code == 0, said.err
        return said.out

    return call


def means(out):
    """Return `{retriever: the five means}` of the printed table."""
    rows = [line.replace(" + ", "+").split() for line in out.splitlines()[3:]]
    return {row[0]: [float(cell) for cell in row[1::3]] for row in rows}


def test_the_table_holds_the_scores_by_hand(run):
    out = run()
    assert "3 queries with an answer, 4 passages in 6 pieces" in out
    assert out.splitlines()[2].split() == ["retriever", "recall@1", "recall@5", "recall@10", "MRR@10", "nDCG@10"]
    assert list(means(out)) == ["dense", "bm25", "hybrid"]
    # BM25 finds q1 and q3 first (a piece counts for its whole passage, once) and nothing for q2.
    assert means(out)["bm25"] == [0.667] * 5


def test_the_query_follows_the_recipe(run):
    first_gain = 1 / (1 + 1 / np.log2(3))
    expected = [(2 + 0.5) / 3, (2 + 0.5) / 3, (2 + 0.5) / 3, 1, (2 + first_gain) / 3]
    assert means(run("query.product_key=product"))["bm25"] == pytest.approx(expected, abs=1e-3)


def test_options_reach_the_member_that_they_name(run):
    plain, words_alone = means(run()), means(run("retriever.name=hybrid", "retriever.bm25_share=1.0"))
    assert words_alone["dense"] == plain["dense"]
    assert words_alone["hybrid"][0] == plain["bm25"][0]


def test_out_holds_the_same_with_intervals_and_what_was_measured(run, tmp_path):
    out = run("--out", "table.json")
    table = json.loads((tmp_path / "table.json").read_text())
    assert {name: round(s["recall@1"]["mean"], 3) for name, s in table["scores"].items()} == {
        name: row[0] for name, row in means(out).items()
    }
    score = table["scores"]["bm25"]["recall@1"]
    assert score["low"] < score["mean"] < score["high"]
    assert table["embedder"] == "words"
    assert table["query"] == {"product_key": None, "user_turns": 2, "ocr_lines": 0}


def test_a_reranker_adds_a_row(run, monkeypatch):
    class Reversed:
        def score(self, pairs):
            return -np.arange(float(len(pairs)))[::-1]

    monkeypatch.setattr(_search, "load_reranker", lambda name: Reversed())
    rows = means(run("--reranker", "somewhere"))
    assert list(rows) == ["dense", "bm25", "hybrid", "hybrid+rerank"]
    assert rows["hybrid+rerank"][0] < rows["hybrid"][0]
