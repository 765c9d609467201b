"""`fit` with two devices, as a user starts it: Lightning runs the whole command a second time."""

import json
import subprocess
import sys

import pytest

from kd_rag.cli import main

pytestmark = pytest.mark.slow


def test_two_processes_train_and_score_as_one_does(tmp_path, folders):
    """The second process must find the folder, a step without a share for it, and records that nobody else counts."""
    for split in ("train", "valid"):
        labels = ["refund", "refund", "order_page"]
        turns = [[{"role": "user", "text": f"Where is {i}?"}] for i in range(8)]
        rows = [{"id": str(i), "task": "intent", "turns": turns[i], "label": labels[i % 3]} for i in range(8)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fit = [
        *("fit", f"model.path={folders['student']}", f"run.dir={tmp_path}", f"cache_dir={tmp_path / 'cache'}"),
        *(f"data.{split}={tmp_path / split}.jsonl" for split in ("train", "valid")),
        *("ocr.name=none", "lora.dropout=0.0", "trainer.accelerator=cpu", "trainer.epochs=1"),
        *("trainer.batch_size=7", "evaluation.bootstrap_samples=20"),  # steps of seven records and of one
    ]
    assert main("kd_rag", {"fit": "kd_rag.commands.fit"}, [*fit, "run.name=one"]) == 0
    both = [sys.executable, "-m", "kd_rag", *fit, "trainer.devices=2", "run.name=two"]
    subprocess.run(both, check=True, capture_output=True)
    one, two = (json.loads((tmp_path / name / "metrics.jsonl").read_text()) for name in ("one", "two"))
    assert one["step"] == two["step"] == 2
    assert two["tasks"]["intent"]["n"] == 8
    assert two["tasks"]["intent"]["nll"] == pytest.approx(one["tasks"]["intent"]["nll"], rel=1e-3)
    for first, second in zip(predictions(tmp_path / "one"), predictions(tmp_path / "two"), strict=True):
        assert first["id"] == second["id"]
        assert second["probabilities"] == pytest.approx(first["probabilities"], abs=1e-3)


def predictions(folder):
    return list(map(json.loads, (folder / "predictions-valid.jsonl").read_text().splitlines()))
