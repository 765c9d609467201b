"""An ablation of days that a kill sets back, or that one bad variant ends, is no use."""

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

pytestmark = pytest.mark.slow

PLAN = """
tasks: {intent: {labels: [order_page, refund]}}
model: {path: STUDENT, min_pixels: 3136, max_pixels: 6272}
ocr: {name: none}
lora: {r: 2}
trainer: {accelerator: cpu, batch_size: 4, micro_batch_size: 4, epochs: 1, val_check_interval: 0.5, learning_rate: 0.01}
evaluation: {bootstrap_samples: 20}
ablation:
  split: valid
  variants:
    plain: {}
    faster: {set: {trainer.learning_rate: 0.02}}
"""


@pytest.fixture
def command(tmp_path, folders):
    """Return a function that makes the command for an output folder."""
    for split in ("train", "valid"):
        rows = [
            {"id": f"{split}{i}", "task": "intent", "turns": [{"role": "user", "text": f"Where is {i}?"}]}
            | {"images": [], "label": ("order_page", "refund")[i % 2]}
            for i in range(8)
        ]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "plan.yaml").write_text(PLAN.replace("STUDENT", folders["student"]))
    data = [f"data.{split}={tmp_path / split}.jsonl" for split in ("train", "valid")]
    words = [sys.executable, "-m", "kd_rag", "ablate", "--config", str(tmp_path / "plan.yaml"), "--jobs", "2"]
    return lambda out: [*words, "--out", str(out), *data, f"cache_dir={tmp_path / 'cache'}"]


def final_files(out):
    names = ("ablation.json", "ablation.md", "ablation.html", "runs/*/metrics.json*", "runs/*/predictions-*.jsonl")
    return {path.relative_to(out).as_posix(): path.read_text() for name in names for path in out.glob(name)}


def test_killed_at_random_moments_it_ends_with_the_same_files(command, tmp_path):
    """A kill of the command alone leaves runs behind that go on; the next call must not run beside them."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = subprocess.run(command(whole), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    moments = random.Random(5)
    for kill in (os.kill, os.killpg):
        process = subprocess.Popen(command(killed), start_new_session=True, stdout=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(6, 14))
        with suppress(ProcessLookupError):  # on a fast machine it is done by then
            kill(process.pid, signal.SIGKILL)
        process.wait()
    assert subprocess.run(command(killed), capture_output=True, check=False).returncode == 0
    found = final_files(killed)
    assert len([name for name in found if name.startswith("runs/")]) == 6
    assert found == final_files(whole)
