"""Baselines learn from train alone, read what the prompts' switches show, and stand in metrics.json."""

import json
import subprocess
import sys

import pytest

from kd_rag.commands._baselines import baseline_scores
from kd_rag.commands._parts import Data, build_preparation
from kd_rag.config import Config, TaskConfig
from kd_rag.data.tasks import resolve_tasks
from kd_rag.evaluation.predictions import Prediction
from kd_rag.types import InputError, Record, Turn

LABELS = ["order", "refund"]


def records(split, labels=("order", "refund", "order", "refund", "refund")):
    words = {"order": "where is my order", "refund": "money back please"}
    return [Record(f"{split}{i}", "intent", (Turn("user", words[x]),), (), x) for i, x in enumerate(labels)]


def found(train, test, tmp_path):
    config = Config(tasks={"intent": TaskConfig(labels=LABELS)}, cache_dir=str(tmp_path))
    tasks = resolve_tasks(config.tasks, train, {"test": test})
    data = Data({}, {"train": train, "test": test}, tasks)
    guesses = [Prediction(r.id, r.task, r.label, "order", {"order": 0.5, "refund": 0.5}, [], "") for r in test]
    return baseline_scores(config, data, build_preparation(config, tasks), "test", guesses)


def test_the_words_decide_for_the_svm_and_the_counts_for_the_majority(tmp_path):
    by_name = found(records("train"), records("test", ("order", "order", "refund")), tmp_path)
    assert by_name["linear SVM"]["intent_score"] == 100
    assert by_name["majority class"]["tasks"]["intent"]["accuracy"] == 1 / 3
    assert "nll" in by_name["majority class"]["tasks"]["intent"]
    assert "nll" not in by_name["linear SVM"]["tasks"]["intent"]


def test_a_task_that_train_lacks_is_named(tmp_path):
    with pytest.raises(InputError, match=r"data\.train has no record of task 'intent'"):
        found([], records("test"), tmp_path)


@pytest.mark.slow
def test_baselines_stand_in_the_scores(tmp_path, folders):
    for split in ("train", "test"):
        rows = [
            {"id": r.id, "task": r.task, "turns": [{"role": "user", "text": r.turns[0].text}], "label": r.label}
            for r in records(split)
        ]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {"data": {s: f"{s}.jsonl" for s in ("train", "test")}, "model": {"path": folders["student"]}, "lora": None}
    (tmp_path / "c.yaml").write_text(json.dumps(config | {"cache_dir": str(tmp_path / "cache")}))
    words = ["evaluate", "--config", "c.yaml", "--out", "out", "--baselines"]
    done = subprocess.run([sys.executable, "-m", "kd_rag", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "linear SVM: weighted F1 intent 100.00, average 100.00" in done.stdout
    kept = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert kept["baselines"]["linear SVM"]["average_score"] == 100
    assert kept["tasks"]["intent"]["n"] == 5
