"""An ablation of days that a kill sets back, or that ends otherwise than it would have, is no use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAN = """
tasks: {intent: {labels: [order_page, refund]}}
model: {path: STUDENT, min_pixels: 3136, max_pixels: 6272}
ocr: {name: none}
lora: {r: 2}
trainer: {accelerator: cpu, batch_size: 4, micro_batch_size: 4, epochs: 1, val_check_interval: 0.3, learning_rate: 0.1}
evaluation: {bootstrap_samples: 20}
ablation:
  variants:
    plain: {}
    taught: {teacher: plain}
"""


@pytest.fixture
def arguments(tmp_path, folders):
    """Write the records and the plan of an ablation; return what its command is told, but for the output folder."""
    splits = ("train", "valid", "test")
    for split in splits:
        rows = [
            {"id": f"{split}{i}", "task": "intent", "turns": [{"role": "user", "text": f"Where is {i}?"}]}
            | {"images": [], "label": ("order_page", "refund")[i % 2]}
            for i in range(12)
        ]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "plan.yaml").write_text(PLAN.replace("STUDENT", folders["student"]))
    data = [f"data.{split}={tmp_path / split}.jsonl" for split in splits]
    return ["--config", str(tmp_path / "plan.yaml"), *data, f"cache_dir={tmp_path / 'cache'}"]


def final_files(out):
    """Return what an ablation leaves: contents, with OUT in place of its own path, and where links lead.

    Without what the clock writes (logs with their progress bars, TensorBoard's events, speed, time and memory); without
    `trainer.pt` and its digest, since equal values that were read from a file are pickled in other bytes; and without
    the halves of killed writers, each under a name of its own that nobody reads.
    """
    clock = ("*.log", "events.out.tfevents.*", "speed.json")
    found = {}
    for path in out.rglob("*"):
        if path.is_symlink():
            found[path.relative_to(out).as_posix()] = str(path.readlink())
        elif path.is_file() and not any(map(path.match, (*clock, "trainer.pt", "manifest.json", "*.partial"))):
            found[path.relative_to(out).as_posix()] = path.read_bytes().replace(str(out).encode(), b"OUT")
    for name in (name for name in found if name.endswith("run.json")):
        facts = json.loads(found[name])
        found[name] = {key: facts[key] for key in facts if key not in ("wall_seconds", "peak_memory_bytes")}
    return found


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_files(arguments, tmp_path):
    """Twenty kills of the command with its run; four of the command alone, whose run must not get another beside it."""
    words = [sys.executable, "-m", "tests.commands.killing", str(tmp_path), *arguments]
    single = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}  # a fork can use no thread and no GPU
    done = subprocess.run(words, cwd=ROOT, env=single, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    together, alone = ([kill["met"] for kill in told["kills"] if kill["alone"] == one] for one in (False, True))
    assert (len(together), len(alone)) == (20, 4)
    assert told["changes"] > 100
    assert sum(met.startswith("ablate: ") for met in together) >= 2
    assert sum(met.startswith("run: ") for met in together) >= 10
    assert any("/checkpoints/" in met for met in together)
    assert any(met.startswith("run: ") for met in alone)
    whole = final_files(tmp_path / "whole")
    assert {"ablation.json", "ablation.md", "runs/plain-seed0/checkpoints/best"} < whole.keys()
    assert {f"runs/taught-seed0/{name}" for name in ("metrics.json", "predictions-test.jsonl")} < whole.keys()
    killed = [folder for folder in tmp_path.glob("killed-*") if folder.is_dir()]
    assert len(killed) > 1
    for folder in killed:
        assert final_files(folder) == whole
