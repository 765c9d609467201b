"""Other systems on the benchmark's records, each in its own virtual environment (`install.sh`).

In: a `Job`. Out: what the peer's script prints as its last line: speed, memory and losses of its training steps. A
module of this package named like a peer runs under the peer's interpreter; it imports nothing of kd_rag.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks._settings import THREADS
from benchmarks.peers._job import Job

NAMES = ("ms_swift", "trl")


def run(peer: str, job: Job, environments: Path) -> dict[str, Any]:
    """Run `job` with a peer of `NAMES` from the folder that `install.sh` filled; see `StepTimes.result`.

    Raises RuntimeError with the end of the peer's output when it fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(asdict(job), file)
        file.flush()
        command = [str(environments / peer / "bin" / "python"), "-m", f"benchmarks.peers.{peer}", file.name]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], env=_offline(), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _offline() -> dict[str, str]:
    """Return the environment of a peer: as many threads as all contestants, no GPU, no hub."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(THREADS),
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
    }
