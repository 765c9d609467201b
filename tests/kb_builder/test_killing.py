"""The real command: killed at any moment, without room on the disk, two at once, and a document of 50 MB."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kd_rag.knowledge.manifest import Manifest
from kd_rag.knowledge.verify import find_faults
from tests.knowledge.doubles import save_table

ROOT = Path(__file__).resolve().parents[2]


def write_passages(path, texts):
    lines = [{"id": str(i), "kind": "faq", "text": f"{text} {i}"} for i, text in texts.items()]
    path.write_text("\n".join(map(json.dumps, lines)))


@pytest.fixture
def folder(tmp_path):
    """A model, and two states: the second replaces 500 passages of the first, removes 600 and adds 200."""
    save_table(tmp_path / "model")
    write_passages(tmp_path / "first.jsonl", dict.fromkeys(range(1200), "red coat"))
    kept, changed = range(100), (*range(100, 600), *range(2000, 2200))
    write_passages(tmp_path / "second.jsonl", dict.fromkeys(kept, "red coat") | dict.fromkeys(changed, "blue coat"))
    return tmp_path


def outcomes(folder, task):
    command = [sys.executable, "-m", "tests.kb_builder.killing", str(folder), task]
    single = {**os.environ, "OMP_NUM_THREADS": "1"}  # a fork that finds threads of its parent waits for them for ever
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env=single)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_command_killed_at_random_moments_is_finished_by_running_it_again(folder):
    """Also while it replaces and prunes: what it had stored stays whole, and the end is that of one quiet run."""
    whole, *killed, finished = outcomes(folder, "killed")
    assert (whole["code"], finished["code"]) == (0, 0)
    kept, quiet = (Manifest.read(folder / name) for name in ("killed", "whole"))
    assert {run["code"] for run in killed} <= {-9, 0}
    assert -9 in {run["code"] for run in killed}
    seen = {run["snapshot"] for run in killed} - {None, quiet.snapshot}
    assert len(seen) <= 1  # that of the first state
    assert (kept.snapshot, kept.passages()) == (quiet.snapshot, quiet.passages())
    np.testing.assert_array_equal(kept.vectors(), quiet.vectors())
    assert find_faults(folder / "killed") == []


@pytest.mark.slow
def test_a_command_without_room_says_so_and_is_finished_when_there_is_some(folder):
    """Our own files meet the limit first, the index's at the second try."""
    first, ours, index, finished = outcomes(folder, "room")
    assert [run["code"] for run in (first, ours, index, finished)] == [0, 2, 2, 0]
    assert ours["snapshot"] == first["snapshot"]
    assert "cannot be written (File too large); what was stored before is intact" in ours["said"]
    assert "passages and vectors are safe beside it: make room" in index["said"]
    assert index["snapshot"] == finished["snapshot"] != first["snapshot"]
    assert find_faults(folder / "kb") == []


@pytest.mark.slow
def test_a_document_of_50_megabytes_is_read_cut_and_stored_within_a_bound_of_memory(folder):
    """Counting its tokens in one call takes gigabytes."""
    paragraphs = [f"Paragraph {i} {' '.join(['coat' * 28] * 9)}. " for i in range(50_000)]
    (folder / "book.txt").write_text("".join(paragraphs))
    (run,) = outcomes(folder, "huge")
    assert run["code"] == 0, run["said"]
    passages = Manifest.read(folder / "kb").passages()
    assert len(passages) > 1000
    assert sum(passage.text.count("Paragraph") for passage in passages) >= len(paragraphs)
    assert run["bytes"] < 600_000_000


@pytest.mark.slow
def test_a_second_ingest_is_refused_before_it_reads_anything(tmp_path):
    """It worked for minutes, and was refused when it wanted to store what it had made."""
    sources, lock = [tmp_path / "slow.jsonl", tmp_path / "kb.jsonl"], tmp_path / "kb" / "writer.lock"
    os.mkfifo(sources[0])
    sources[1].write_text("no passage")
    settings = [f"knowledge.path={tmp_path / 'kb'}", f"knowledge.embedder={save_table(tmp_path / 'model')}"]
    commands = [[sys.executable, "-m", "kb_builder", "ingest", str(source), *settings] for source in sources]
    with subprocess.Popen(commands[0], cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        while not (lock.exists() and lock.read_text()):
            assert first.poll() is None
            time.sleep(0.05)
        second = subprocess.run(commands[1], cwd=ROOT, check=False, capture_output=True, text=True)
        assert second.returncode == 2
        assert f"process {first.pid} is writing to this knowledge base; run again when it is done" in second.stderr
        write_passages(sources[0], dict.fromkeys(range(3), "coat"))
        assert "total      3" in first.communicate()[0]
    assert find_faults(tmp_path / "kb") == []
