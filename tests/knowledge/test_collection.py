"""The Chroma index: what of another kind must not be taken for it, and what Chroma must not do on its own."""

import re
from contextlib import closing

import chromadb
import pytest

from kd_rag.knowledge.chroma import answering, connect
from kd_rag.knowledge.collection import PassageIndex
from kd_rag.knowledge.manifest import Manifest
from kd_rag.types import InputError

NAME = "passages"


def manifest(folder, embedder="words", chunker="whole"):
    return Manifest(folder, embedder, chunker, 64, "some knowledge base")


def test_a_collection_of_another_space_is_refused(tmp_path):
    """Chroma makes l2 ones unless told otherwise, and then ignores what it is told."""
    with closing(chromadb.PersistentClient(str(tmp_path))) as client:
        metadata = {
            "fingerprint": "words",
            "chunker": "whole",
            "snapshot": "x",
            "knowledge_base": "some knowledge base",
        }
        client.create_collection(NAME, embedding_function=None, metadata=metadata)
    for attempt in (PassageIndex.open, lambda place: PassageIndex.open_or_create(place, manifest(tmp_path))):
        with pytest.raises(InputError, match="holds a collection 'passages' that kb_builder did not make"):
            attempt(str(tmp_path))


def test_a_collection_that_another_program_made_is_refused(tmp_path):
    with closing(chromadb.PersistentClient(str(tmp_path))) as client:
        client.create_collection(NAME, embedding_function=None, configuration={"hnsw": {"space": "cosine"}})
    with pytest.raises(InputError, match="that kb_builder did not make"):
        PassageIndex.open_or_create(str(tmp_path), manifest(tmp_path))


@pytest.mark.parametrize("other", [{"embedder": "others"}, {"chunker": "pieces"}])
def test_an_index_of_another_embedder_or_chunker_is_refused_with_both(tmp_path, other):
    """Vectors of the same width fit into it, and every neighbour is wrong."""
    PassageIndex.open_or_create(str(tmp_path), manifest(tmp_path)).close()
    wanted = manifest(tmp_path, **other)
    expected = f"holds vectors of words (whole), not of {wanted.embedder} ({wanted.chunker}); name another collection"
    with pytest.raises(InputError, match=re.escape(expected)):
        PassageIndex.open_or_create(str(tmp_path), wanted)


def test_the_space_is_cosine_and_nothing_is_reported_home(tmp_path):
    with closing(PassageIndex.open_or_create(str(tmp_path), manifest(tmp_path))) as index:
        assert index.rows.configuration_json["hnsw"]["space"] == "cosine"
        assert index.client.get_settings().anonymized_telemetry is False


def test_a_servers_client_reports_nothing_home(monkeypatch):
    monkeypatch.setattr(chromadb, "HttpClient", lambda host, port, *, ssl, settings: (host, port, ssl, settings))
    (host, port, ssl, settings), name = connect("https://shop.example/kb")
    assert (host, port, ssl, name) == ("shop.example", 443, True, "kb")
    assert settings.anonymized_telemetry is False


def test_a_panic_in_chromas_rust_is_told_in_one_sentence():
    """It is no Exception: the command line would end with a traceback."""

    class PanicException(BaseException):
        pass

    expected = r"kb/chroma: the index cannot be used \(range end out of bounds\)"
    with pytest.raises(InputError, match=expected), answering("kb/chroma"):
        raise PanicException("range end out of bounds")
    with pytest.raises(KeyboardInterrupt), answering("kb/chroma"):
        raise KeyboardInterrupt
