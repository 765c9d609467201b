"""Texts encoded by Ray's workers: the same knowledge base, whoever began it and whoever finishes it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

from kb_builder import cluster
from kb_builder.__main__ import COMMANDS
from kb_builder.chunking import Chunker
from kb_builder.readers import Reading
from kb_builder.sources import read_passages
from kd_rag.cli import main
from kd_rag.config import KnowledgeConfig
from kd_rag.knowledge.embedder import load_embedder
from kd_rag.knowledge.encoding import TEXTS_AT_ONCE
from kd_rag.knowledge.store import KnowledgeBase, add_passages
from kd_rag.types import InputError, Passage
from tests.kb_builder.documents import save_scan
from tests.knowledge.doubles import make_passages, save_table, word_embedder

WORDS = ("red", "blue", "coat", "query")


def coats(count):
    """Return passages that a `save_table` model tells apart."""
    texts = [" ".join(WORDS[i >> 2 * digit & 3] for digit in range(8)) for i in range(count)]
    return [Passage(f"{i}", "product", "", text) for i, text in enumerate(texts)]


@pytest.fixture
def scratch():
    """A folder for Ray's sessions; the paths of its sockets must be short."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def first_portion(embedder):
    """Return what encodes one portion, and is then interrupted."""

    def encode(texts, _):
        yield texts[:TEXTS_AT_ONCE], embedder.encode_texts(texts[:TEXTS_AT_ONCE])
        raise KeyboardInterrupt

    return encode


@pytest.mark.slow
def test_ray_finishes_what_was_begun_without_it_and_the_knowledge_base_is_the_same(tmp_path, scratch):
    """Texts and scanned pages alike; workers finish in any order, and vectors move by what a batch's width moves."""
    model, sources, log = save_table(tmp_path / "table"), tmp_path / "sources", tmp_path / "log"
    sources.mkdir()
    log.mkdir()
    for name in ("one", "two"):
        save_scan(sources / f"{name}.pdf", f"scan {name}")
    engine = {"name": "tests.ocr.stub_engine:SizeReader", "log": str(log)}
    scans = read_passages(sorted(sources.iterdir()), Reading(ocr=engine, cache_dir=tmp_path / "cache"))
    embedder, passages = load_embedder(model), [*scans, *coats(1100)]
    chunker = str(Chunker(embedder, KnowledgeConfig.overlap_tokens))
    whole = add_passages(tmp_path / "whole", embedder, passages, chunker=chunker)
    with pytest.raises(KeyboardInterrupt):
        add_passages(tmp_path / "kb", embedder, passages, chunker=chunker, encode=first_portion(embedder))
    rows = ({"id": p.id, "kind": p.kind, "text": p.text} for p in passages[len(scans) :])
    (sources / "coats.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "ray-log").mkdir()

    machine = {"RAY_ADDRESS": "local", "RAY_OVERRIDE_RESOURCES": '{"CPU": 2}', "RAY_TMPDIR": scratch}
    settings = [f"knowledge.path={tmp_path / 'kb'}", f"knowledge.embedder={model}", f"cache_dir={tmp_path / 'other'}"]
    settings += [f"ocr.name={engine['name']}", f"ocr.log={tmp_path / 'ray-log'}"]
    command = [sys.executable, "-m", "kb_builder", "ingest", str(sources), "--ray", *settings]
    done = subprocess.run(command, env={**os.environ, **machine}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert (told["encoded"], told["snapshot"]) == (str(whole.encoded - TEXTS_AT_ONCE), whole.snapshot)
    assert len(list((tmp_path / "ray-log").iterdir())) == 2, "each page is read once, by a worker"
    one, other = (KnowledgeBase.open(tmp_path / name, embedder) for name in ("whole", "kb"))
    assert one.passages == other.passages
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-6)


def test_a_run_killed_while_workers_encode_is_finished_here(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        add_passages(tmp_path, word_embedder(), make_passages(600), encode=first_portion(word_embedder()))
    assert add_passages(tmp_path, word_embedder(), make_passages(600)).encoded == 600 - TEXTS_AT_ONCE


def test_a_worker_with_another_revision_of_the_model_is_refused(tmp_path):
    """A machine may have other weights under the same name, and every neighbour would be wrong."""
    model = save_table(tmp_path / "table")
    worker = cluster._Encoder(model, "float32", "another")
    with pytest.raises(InputError, match=r"its embedder is table \(weights .*, not another"):
        worker({"text": np.array(["red coat"], object)})
    right = load_embedder(model)
    done = cluster._Encoder(model, "float32", right.fingerprint)({"text": np.array(["red coat"], object)})
    np.testing.assert_allclose(done["vector"], right.encode_texts(["red coat"]), atol=1e-6)


def test_vectors_that_come_in_any_order_belong_to_their_texts(tmp_path):
    """Workers are not equally fast: a vector stored by its turn would be another passage's."""

    def backwards(texts, advance):
        for start in range(len(texts) - 3, -3, -3):
            window = texts[max(0, start) : start + 3]
            advance(len(window))
            yield window, word_embedder().encode_texts(window)

    passages = make_passages(20)
    changes = add_passages(tmp_path / "kb", word_embedder(), passages, encode=backwards)
    assert changes.snapshot == add_passages(tmp_path / "here", word_embedder(), passages).snapshot
    bases = [KnowledgeBase.open(tmp_path / name, word_embedder()) for name in ("kb", "here")]
    np.testing.assert_allclose(bases[0].vectors, bases[1].vectors, atol=1e-6)


def test_without_the_extra_it_is_named_before_anything_is_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "faq.jsonl").write_text("no JSON")
    assert main("kb", COMMANDS, ["ingest", str(tmp_path), "--ray", f"knowledge.path={tmp_path / 'kb'}"]) == 2
    assert "ray is not installed; install it with: pip install 'kd-rag[ray]'" in capsys.readouterr().err


def test_a_cluster_that_is_not_there_is_named(monkeypatch):
    def init(**_):
        raise ConnectionError("Could not find any running Ray instance.\nPlease specify the one to connect to.")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    monkeypatch.setitem(sys.modules, "ray.data", SimpleNamespace(DataContext=None))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with (
        pytest.raises(InputError, match=r"^--ray: no cluster can be used \(Could not .* RAY_ADDRESS=10\.0\.0\.1:6379$"),
        cluster.connected(),
    ):
        pass
