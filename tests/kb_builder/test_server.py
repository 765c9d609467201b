"""A Chroma server instead of a folder: started by its own command, and killed."""

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kb_builder.__main__ import COMMANDS
from kd_rag.cli import main
from kd_rag.knowledge.collection import PassageIndex
from kd_rag.knowledge.store import KnowledgeBase, add_passages
from kd_rag.knowledge.verify import find_faults, rebuild
from kd_rag.types import InputError
from tests.knowledge.doubles import make_passages, word_embedder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(tmp_path):
    """Start `chroma run`; return its address and its process."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(tmp_path / "server")]
    log = (tmp_path / "server.log").open("w")
    process = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log)
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    yield f"http://127.0.0.1:{port}/shop", process
    process.kill()
    process.wait()
    log.close()


@pytest.mark.slow
def test_a_server_holds_the_same_knowledge_base_as_a_folder(tmp_path, server):
    url, _ = server
    local = add_passages(tmp_path / "local", word_embedder(), make_passages(700))
    served = add_passages(tmp_path / "kb", word_embedder(), make_passages(700), url=url)
    assert served.snapshot == local.snapshot
    assert not (tmp_path / "kb" / "chroma").exists()
    fetched = KnowledgeBase.fetch(url, word_embedder())
    opened = KnowledgeBase.open(tmp_path / "local", word_embedder())
    assert (fetched.snapshot, fetched.passages) == (opened.snapshot, opened.passages)
    np.testing.assert_allclose(fetched.vectors, opened.vectors, atol=1e-6)
    with pytest.raises(InputError, match=r"made by words, but knowledge\.embedder is others"):
        KnowledgeBase.fetch(url, word_embedder(fingerprint="others"))
    assert find_faults(tmp_path / "kb", url) == []
    index = PassageIndex.open(url)
    index.rows.delete(ids=["p0003"])
    index.close()
    with pytest.raises(InputError, match="empty or half written"):
        KnowledgeBase.fetch(url, word_embedder())
    assert "lacks 1 passages, among them 'p0003'" in find_faults(tmp_path / "kb", url)[0]
    other = tmp_path / "local"
    for intrude in (lambda: add_passages(other, word_embedder(), [], url=url), lambda: rebuild(other, url)):
        with pytest.raises(InputError, match=rf"{url}: holds the index of another knowledge base; name another coll"):
            intrude()
    rebuild(tmp_path / "kb", url)
    assert find_faults(tmp_path / "kb", url) == []


@pytest.mark.slow
def test_a_server_that_dies_is_named_in_one_sentence_and_loses_nothing(tmp_path, server, monkeypatch, capsys):
    url, process = server
    add_passages(tmp_path / "kb", word_embedder(), make_passages(700), url=url)
    index = PassageIndex.open(url)
    get = index.rows.get

    def dying(**options):
        process.kill()
        process.wait()
        return get(**options)

    monkeypatch.setattr("chromadb.api.models.Collection.Collection.get", lambda self, **options: dying(**options))
    with pytest.raises(InputError, match=rf"knowledge\.url={url}: the Chroma server does not answer .*chroma run"):
        KnowledgeBase.fetch(url, word_embedder())
    monkeypatch.setattr("kd_rag.knowledge.opening.load_embedder", lambda name, dtype: word_embedder())
    assert main("kb", COMMANDS, ["query", "item", f"knowledge.url={url}"]) == 2
    said = capsys.readouterr().err
    assert len([line for line in said.splitlines() if "error" in line]) == 1
    assert "does not answer" in said
    with pytest.raises(InputError, match="does not answer"):
        add_passages(tmp_path / "kb", word_embedder(), make_passages(800), url=url)
    assert len(KnowledgeBase.open(tmp_path / "kb", word_embedder()).passages) == 800
    shutil.rmtree(tmp_path / "server", ignore_errors=True)


def test_the_address_may_name_no_server(tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(InputError, match=rf"knowledge\.url={url}: the Chroma server does not answer"):
        KnowledgeBase.fetch(url, word_embedder())
