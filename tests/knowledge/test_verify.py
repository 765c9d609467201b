import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kd_rag.knowledge.collection import PassageIndex
from kd_rag.knowledge.lock import sole_writer
from kd_rag.knowledge.manifest import Manifest
from kd_rag.knowledge.store import KnowledgeBase, add_passages
from kd_rag.knowledge.verify import find_faults, rebuild, repair
from kd_rag.types import InputError
from tests.knowledge.doubles import make_passages, word_embedder

PASSAGES = 1600
"""Chroma writes its graph to disk from 1,000 rows on; below that there is nothing to damage."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    add_passages(folder, word_embedder(), make_passages(PASSAGES))
    return folder


@pytest.fixture
def kb(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "kb")


def graph(folder):
    (found,) = (p for p in (folder / "chroma").iterdir() if p.is_dir())
    return found


def halve(file):
    os.truncate(file, file.stat().st_size // 2)


def two_writers(folder):
    """Let two processes write to one index at once, as Chroma allows."""
    script = (
        "import sys\n"
        "from kd_rag.knowledge.collection import PassageIndex\n"
        "from tests.knowledge.doubles import make_passages, word_embedder\n"
        "index = PassageIndex.open(sys.argv[1])\n"
        "print('open', flush=True); sys.stdin.readline()\n"
        "passages = make_passages(2000, sys.argv[2])\n"
        "vectors = word_embedder().encode_passages(passages)\n"
        "for i in range(0, 2000, 100): index.write(passages[i:i+100], vectors[i:i+100])"
    )
    words = [[sys.executable, "-c", script, str(folder / "chroma"), word] for word in ("hat", "shoe")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    writers = [subprocess.Popen(command, **pipes) for command in words]
    for writer in writers:
        writer.stdout.readline()
    for writer in writers:
        writer.communicate(b"\n")


FAULTS = {
    "index folder deleted": lambda kb: shutil.rmtree(graph(kb)),
    "data truncated": lambda kb: halve(graph(kb) / "data_level0.bin"),
    "pickle emptied": lambda kb: (graph(kb) / "index_metadata.pickle").write_bytes(b""),
    "links garbled": lambda kb: (graph(kb) / "link_lists.bin").write_bytes(random.Random(0).randbytes(9000)),
    "sqlite truncated": lambda kb: halve(kb / "chroma" / "chroma.sqlite3"),
    "two writers": two_writers,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", FAULTS.values(), ids=FAULTS)
def test_every_damage_to_the_index_is_flagged_and_repaired_without_encoding(kb, sound, damage):
    """Chroma counts all rows under each of them, and answers under some, wrongly and without an error."""
    damage(kb)
    faults = find_faults(kb, limit_seconds=60)
    assert len(faults) >= 1
    assert all(str(kb / "chroma") in fault for fault in faults)
    repair(kb)
    assert find_faults(kb) == []
    assert Manifest.read(kb).snapshot == Manifest.read(sound).snapshot


def test_a_sound_knowledge_base_has_no_fault_and_stays_as_it_is(kb):
    before = {p: p.read_bytes() for p in kb.rglob("*") if p.is_file() and p.name != "writer.lock"}
    assert find_faults(kb) == []
    assert {p: p.read_bytes() for p in kb.rglob("*") if p.is_file() and p.name != "writer.lock"} == before


def test_an_index_that_does_not_answer_in_time_is_a_fault(kb):
    assert find_faults(kb, limit_seconds=0.01) == [f"{kb / 'chroma'}: does not answer within 0.01 seconds"]


def test_an_index_that_kills_whoever_opens_it_is_a_fault(kb, monkeypatch, tmp_path):
    """Two writers leave one behind: an exception would be handled, a segmentation fault is not."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -SEGV $$\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    assert find_faults(kb) == [f"{kb / 'chroma'}: ends the process that opens it (SIGSEGV)"]


def test_an_index_with_an_old_a_missing_and_a_foreign_passage_is_flagged(kb):
    index = PassageIndex.open(str(kb / "chroma"))
    old = make_passages(1, "old")
    index.write(old, word_embedder().encode_passages(old))
    assert "has an old version of 1 passages, among them 'p0000'" in find_faults(kb)[0]
    index.rows.delete(ids=["p0001"])
    assert "lacks 1 passages, among them 'p0001'" in find_faults(kb)[0]
    index.close()
    rebuild(kb)
    assert find_faults(kb) == []


def test_an_index_whose_vectors_are_others_is_flagged(kb):
    """The ids are right and the answers are wrong."""
    index = PassageIndex.open(str(kb / "chroma"))
    passages = make_passages(512)
    index.write(passages, word_embedder().encode_queries([f"{p.text} nonsense" for p in passages]))
    index.close()
    assert "its vectors are not those of its passages" in find_faults(kb)[0]


def flip(file):
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("pattern", ["vectors-*.npy", "vectors/*.npy"])
def test_damaged_vectors_are_flagged_and_come_back_from_their_second_copy(kb, sound, pattern):
    flip(min(kb.glob(pattern)))
    (fault,) = find_faults(kb)
    assert str(min(kb.glob(pattern))) in fault
    repair(kb)
    assert find_faults(kb) == []
    one, other = (KnowledgeBase.open(folder, word_embedder()) for folder in (kb, sound))
    assert (one.vectors == other.vectors).all()


def test_vectors_damaged_in_both_copies_come_back_with_the_next_ingestion(kb, sound):
    """Repair sent to repair, and an ingestion of what is there already repaired nothing."""
    shard = min((kb / "vectors").glob("*.npy"))
    lost = len(np.load(shard))
    flip(shard)
    flip(next(kb.glob("vectors-*.npy")))
    with pytest.raises(InputError, match=r"damaged in both copies; encode them again by .*kb_builder ingest"):
        repair(kb)
    changes = add_passages(kb, word_embedder(), make_passages(PASSAGES))
    assert (changes.unchanged, changes.encoded) == (PASSAGES, lost)
    assert find_faults(kb) == []
    one, other = (KnowledgeBase.open(folder, word_embedder()) for folder in (kb, sound))
    assert (one.vectors == other.vectors).all()


def test_an_ingestion_does_not_build_on_damaged_vectors(kb):
    """They would get a digest of their own, and look sound from then on."""
    flip(min((kb / "vectors").glob("*.npy")))
    assert add_passages(kb, word_embedder(), make_passages(PASSAGES + 1)).encoded == 1
    assert find_faults(kb) == []


def test_damaged_passages_come_back_from_the_index(kb, sound):
    """It holds every one of them, and the snapshot tells whether it is the same."""
    flip(next(kb.glob("passages-*")))
    assert "is damaged or missing" in find_faults(kb)[0]
    repair(kb)
    assert find_faults(kb) == []
    assert Manifest.read(kb).passages() == Manifest.read(sound).passages()
    flip(next(kb.glob("passages-*")))
    shutil.rmtree(kb / "chroma")
    with pytest.raises(InputError, match=r"passages-.*: is damaged, and the index does not hold its passages either"):
        repair(kb)


def test_a_row_that_another_program_added_is_flagged_and_taken_away(kb):
    """Any Chroma client may write there, and a row without metadata ended verify and ingest with a traceback."""
    index = PassageIndex.open(str(kb / "chroma"))
    index.rows.add(ids=["stray"], embeddings=[[1.0] * 64])
    assert len(index.read()[0]) == PASSAGES
    index.close()
    assert "has, though they are no passages, 1 passages, among them 'stray'" in find_faults(kb)[0]
    add_passages(kb, word_embedder(), make_passages(PASSAGES + 1))
    assert find_faults(kb) == []


def test_an_index_that_makes_the_probe_fail_is_a_fault(kb, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho Traceback >&2; echo 'KeyError: x' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    assert find_faults(kb) == [f"{kb / 'chroma'}: cannot be asked (KeyError: x)"]


def test_lost_vectors_are_counted(kb):
    min((kb / "vectors").glob("*.npy")).unlink()
    assert "lacks the vectors of " in find_faults(kb)[0]


def test_verify_waits_for_no_ingestion_that_is_running(kb):
    """It would call the half-written index damaged."""
    with sole_writer(kb), ThreadPoolExecutor(1) as other:
        with pytest.raises(InputError, match=f"process {os.getpid()} is writing to this knowledge base"):
            other.submit(find_faults, kb).result()
        assert find_faults(kb) == []  # who holds the right may use it


def test_verify_makes_no_folder_where_there_is_none(tmp_path):
    with pytest.raises(InputError, match="there is no knowledge base"):
        find_faults(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
