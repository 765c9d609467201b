import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import chromadb
import numpy as np
import pytest
from chromadb.config import Settings

from kd_rag.knowledge.collection import PassageCollection
from kd_rag.knowledge.lock import sole_writer
from kd_rag.knowledge.store import KnowledgeBase, add_passages
from kd_rag.types import InputError, Passage
from tests.knowledge.doubles import make_passages, word_embedder

ROOT = Path(__file__).resolve().parents[2]
COAT = Passage("coat", "product", "Rain coat", "Keeps the rain out.", {"price": 20, "sizes": ["S", "M"], "stock": None})
POST = Passage("post", "policy", "Delivery", "Parcels come in three days.")


def test_passages_come_back_as_they_went_in(tmp_path):
    add_passages(tmp_path, word_embedder(), [POST, COAT])
    knowledge = KnowledgeBase.open(tmp_path, word_embedder())
    assert knowledge.passages == (COAT, POST)
    assert knowledge.vectors.shape == (2, 64)


def test_the_nearest_come_first_with_their_cosine(tmp_path):
    embedder = word_embedder()
    add_passages(tmp_path, embedder, [POST, COAT, *make_passages(30)])
    knowledge = KnowledgeBase.open(tmp_path, embedder)
    queries = ["does the coat keep out rain", "parcels in how many days"]
    first, second = knowledge.query(embedder.encode_queries(queries), k=3)
    assert (first[0].passage, second[0].passage) == (COAT, POST)
    assert [r.score for r in first] == sorted((r.score for r in first), reverse=True)
    expected = float(embedder.encode_queries(queries[:1])[0] @ embedder.encode_passages([COAT])[0])
    assert first[0].score == pytest.approx(expected, abs=1e-5)


def test_ties_go_by_id_whatever_the_order_of_ingestion(tmp_path):
    """An approximate index breaks ties at random, and then no run can be repeated."""
    embedder = word_embedder()
    same = [Passage(f"{i:03d}", "faq", "Coat", "red") for i in range(150)]
    answers = []
    for name, passages in [("up", same), ("down", same[::-1])]:
        add_passages(tmp_path / name, embedder, [*passages, *make_passages(50)])
        knowledge = KnowledgeBase.open(tmp_path / name, embedder)
        answers.append(knowledge.query(embedder.encode_queries(["a red coat"] * 70), k=4))
    assert answers[0] == answers[1]
    assert [[r.passage.id for r in found] for found in answers[0]] == [["000", "001", "002", "003"]] * 70


def test_asking_for_more_than_there_is_gives_what_there_is(tmp_path):
    add_passages(tmp_path, word_embedder(), [POST, COAT])
    knowledge = KnowledgeBase.open(tmp_path, word_embedder())
    vectors = word_embedder().encode_queries(["coat"])
    assert [len(found) for found in knowledge.query(vectors, k=9)] == [2]
    assert knowledge.query(vectors[:0], k=3) == []


def test_an_empty_knowledge_base_is_refused(tmp_path):
    """An ingestion killed in its first batch leaves one, and every prompt would go without passages."""
    add_passages(tmp_path, word_embedder(), [])
    with pytest.raises(InputError, match="the knowledge base is empty"):
        KnowledgeBase.open(tmp_path, word_embedder())


def test_unchanged_passages_are_not_encoded_again(tmp_path):
    passages = make_passages(20)
    first = add_passages(tmp_path, word_embedder(), passages)
    embedder = word_embedder()
    again = add_passages(tmp_path, embedder, passages)
    assert embedder.model.batches == []
    assert (first.added, first.unchanged, first.total) == (20, 0, 20)
    assert (again.added, again.replaced, again.unchanged, again.total) == (0, 0, 20, 20)
    assert again.snapshot == first.snapshot


def test_a_changed_passage_is_replaced_as_a_whole(tmp_path):
    """Chroma's `add` keeps the old row in silence, and its `upsert` keeps metadata keys that are gone."""
    add_passages(tmp_path, word_embedder(), [COAT, POST])
    changed = dataclasses.replace(COAT, text="Keeps nothing out.", metadata={"price": 5})
    changes = add_passages(tmp_path, word_embedder(), [changed, POST])
    assert (changes.added, changes.replaced, changes.unchanged, changes.total) == (0, 1, 1, 2)
    knowledge = KnowledgeBase.open(tmp_path, word_embedder())
    assert knowledge.passages == (changed, POST)
    np.testing.assert_allclose(knowledge.vectors[0], word_embedder().encode_passages([changed])[0], atol=1e-6)


def test_the_snapshot_names_the_contents_and_the_embedder_and_nothing_else(tmp_path):
    """A cache keyed by it would serve old answers, or none."""
    passages = make_passages(5)

    def snapshot(name, *rounds, fingerprint="words"):
        embedder = word_embedder(fingerprint=fingerprint)
        for passages in rounds:
            changes = add_passages(tmp_path / name, embedder, passages)
        assert KnowledgeBase.open(tmp_path / name, embedder).snapshot == changes.snapshot
        return changes.snapshot

    first = snapshot("first", passages)
    assert snapshot("order", passages[:2], passages[::-1]) == first
    renamed = [dataclasses.replace(passages[0], id="other"), *passages[1:]]
    retitled = [dataclasses.replace(passages[0], title="other"), *passages[1:]]
    marked = [dataclasses.replace(passages[0], metadata={"row": 9}), *passages[1:]]
    others = [snapshot(str(i), p) for i, p in enumerate([passages[1:], renamed, retitled, marked])]
    others.append(snapshot("encoder", passages, fingerprint="other words"))
    assert len({first, *others}) == 6


def test_more_passages_than_one_batch(tmp_path):
    embedder, passages = word_embedder(), make_passages(1100)
    assert add_passages(tmp_path, embedder, passages).total == 1100
    knowledge = KnowledgeBase.open(tmp_path, embedder)
    assert list(knowledge.passages) == passages
    np.testing.assert_allclose(knowledge.vectors, embedder.encode_passages(passages), atol=1e-6)


def test_an_ingestion_killed_half_way_is_finished_by_running_it_again(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from kd_rag.knowledge.store import add_passages\n"
        "from tests.knowledge.doubles import make_passages, word_embedder\n"
        "add_passages(Path(sys.argv[1]), word_embedder(dies_at_text=800), make_passages(1300))"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "killed")], cwd=ROOT, check=False)
    assert killed.returncode == -9
    half = PassageCollection.open(tmp_path / "killed")
    assert len(half.hashes()) == 512
    half.close()
    finished = add_passages(tmp_path / "killed", word_embedder(), make_passages(1300))
    whole = add_passages(tmp_path / "whole", word_embedder(), make_passages(1300))
    assert (finished.added, finished.unchanged) == (788, 512)
    assert finished.snapshot == whole.snapshot
    vectors = [KnowledgeBase.open(tmp_path / name, word_embedder()).vectors for name in ("killed", "whole")]
    np.testing.assert_array_equal(*vectors)


def test_another_embedder_is_refused_with_both_names(tmp_path):
    """Chroma accepts another model of the same width, and every neighbour is wrong."""
    add_passages(tmp_path, word_embedder(fingerprint="the old one"), [COAT])
    newer = word_embedder(fingerprint="the new one")
    for attempt in (lambda: KnowledgeBase.open(tmp_path, newer), lambda: add_passages(tmp_path, newer, [POST])):
        with pytest.raises(InputError, match=r"made by the old one, but knowledge\.embedder is the new one; .*path"):
            attempt()


def test_no_knowledge_base_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(InputError, match="python -m kb_builder ingest"):
        KnowledgeBase.open(tmp_path / "absent", word_embedder())
    assert not (tmp_path / "absent").exists()


def test_a_store_that_another_program_made_is_refused(tmp_path):
    """Chroma's own default is squared distance, under which a score would mean something else."""
    client = chromadb.PersistentClient(tmp_path, settings=Settings(anonymized_telemetry=False))
    with pytest.raises(InputError, match="there is no knowledge base"):
        PassageCollection.open(tmp_path)
    client.create_collection("passages", embedding_function=None, metadata={"fingerprint": "words"})
    client.close()
    with pytest.raises(InputError, match="that kb_builder did not make"):
        PassageCollection.open(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_the_users_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        add_passages(tmp_path / "file", word_embedder(), [COAT])


def test_a_deleted_index_is_noticed(tmp_path):
    """Chroma's own query then answers with wrong passages and no error."""
    add_passages(tmp_path, word_embedder(), make_passages(1100))
    for folder in tmp_path.glob("*-*-*"):
        shutil.rmtree(folder)
    with pytest.raises(InputError, match=r"damaged .*ingest again"):
        KnowledgeBase.open(tmp_path, word_embedder())


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path):
    """Two writers destroy a Chroma store, and both report success."""
    script = (
        "import sys; from pathlib import Path\n"
        "from kd_rag.knowledge.lock import sole_writer\n"
        "with sole_writer(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"process {first.pid} is writing"):
            add_passages(tmp_path, word_embedder(), [COAT])
        first.kill()
    assert add_passages(tmp_path, word_embedder(), [COAT]).added == 1


def test_the_lock_is_free_again_after_an_error(tmp_path):
    def fail():
        with sole_writer(tmp_path):
            assert (tmp_path / "writer.lock").read_text() == str(os.getpid())
            raise RuntimeError("disk full")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="disk full"):
            fail()
