"""Running a peer under its own interpreter, and timing its steps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import _memory, peers
from benchmarks.peers._job import Job, StepTimes

JOB = Job("teacher", "student", "records.jsonl", prompt_tokens=256, steps=3)


def interpreter(folder: Path, script: str) -> Path:
    """Write a shell script in the place of a peer's interpreter, and return the folder of environments."""
    python = folder / "trl" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return folder


def test_the_peer_gets_its_job_and_its_last_line_is_the_result(tmp_path: Path) -> None:
    """Frameworks print their logs to the same stream."""
    folder = interpreter(tmp_path, 'echo "log of the framework"; cat "$3"; echo; echo "{\\"module\\": \\"$2\\"}"')
    assert peers.run("trl", JOB, folder) == {"module": "benchmarks.peers.trl"}
    folder = interpreter(tmp_path / "other", 'cat "$3"')
    assert Job(**peers.run("trl", JOB, folder)) == JOB


def test_a_failing_peer_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    """A peer that is left out in silence would look as if it had been beaten."""
    folder = interpreter(tmp_path, "echo out of memory >&2; exit 3")
    with pytest.raises(RuntimeError, match=r"exited with 3:\nout of memory"):
        peers.run("trl", JOB, folder)


def test_the_first_step_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """It pays for allocations and compilation that no later step pays for."""
    clock = iter([100.0, 102.0, 106.0])
    monkeypatch.setattr("benchmarks.peers._job.time.perf_counter", lambda: next(clock))
    times = StepTimes()
    times.on_train_begin(None, None, None, model=torch.nn.Linear(3, 2))
    for step in range(3):
        times.on_step_end(None, None, None)
        times.on_log(None, None, None, logs={"loss": 1.0 - step / 10})
    result = times.result("transformers", JOB)
    assert result["records_per_second"] == pytest.approx(4 * 2 / 6)
    assert result["step_seconds_median"] == 3.0
    assert result["loss"] == [1.0, 0.9, 0.8]
    assert result["trainable_parameters"] == 8
    assert result["peak_memory_bytes"] >= result["resident_bytes"] > 0


def test_a_run_of_fewer_steps_is_refused() -> None:
    """An early end would be a speed over steps that were never taken."""
    with pytest.raises(AssertionError, match="0 steps were taken, 3 asked for"):
        StepTimes().result("transformers", JOB)


def test_the_peak_is_that_since_the_reset() -> None:
    """A peak of start-up would hide what a step takes."""
    code = (
        "from benchmarks import _memory\n"
        "bytearray(200_000_000)\n"
        "resident = _memory.reset_peak()\n"
        "bytearray(100_000_000)\n"
        "print(_memory.peak() - resident)"
    )
    root = Path(_memory.__file__).parents[1]
    taken = int(subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True).stdout)
    assert 95_000_000 < taken < 130_000_000


def test_the_peers_scripts_import_nothing_of_ours() -> None:
    """Their environments have no kd_rag, and a shared trick would make the comparison one with ourselves."""
    root = Path(_memory.__file__).parent
    for file in [*root.glob("peers/*.py"), root / "_conversations.py", root / "_settings.py", root / "_memory.py"]:
        assert "kd_rag" not in json.dumps([line for line in file.read_text().splitlines() if "import " in line]), file
