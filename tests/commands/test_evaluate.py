"""Baselines learn from train alone and read what the prompts' switches show; they and modes are in metrics.json."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kd_rag import cli
from kd_rag.commands._baselines import baseline_scores
from kd_rag.commands._parts import Data, build_preparation
from kd_rag.config import Config, Stages, TaskConfig
from kd_rag.data.tasks import resolve_tasks
from kd_rag.evaluation.predictions import Prediction
from kd_rag.types import InputError, Record, TextLine, Turn

LABELS = ["order", "refund"]


def records(split, labels=("order", "refund", "order", "refund", "refund")):
    words = {"order": "where is my order", "refund": "money back please"}
    return [Record(f"{split}{i}", "intent", (Turn("user", words[x]),), (), x) for i, x in enumerate(labels)]


def found(train, test, tmp_path, ocr=None):
    switches = TaskConfig(labels=LABELS, ocr=ocr or Stages())
    config = Config(tasks={"intent": switches}, ocr={"name": "given"}, cache_dir=str(tmp_path))
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


def test_the_svm_reads_the_text_of_pictures_where_prompts_show_it(tmp_path):
    """A baseline without the words that the model is shown would be beaten for nothing."""
    shown = {"order": "order 81 on its way", "refund": "refunded 9.90"}
    turn = (Turn("user", "what about this <image>"),)
    train, test = (
        [Record(f"{split}{i}", "intent", turn, (tmp_path / "screen.png",), label,
                ocr=((TextLine(shown[label], 0.9, (0, 0, 1, 1)),),))
         for i, label in enumerate(["order", "refund"] * 3)]
        for split in ("train", "test")
    )  # fmt: skip
    everywhere, nowhere = Stages(train=True, eval=True), Stages(train=True, eval=False)
    assert found(train, test, tmp_path, everywhere)["linear SVM"]["intent_score"] == 100
    blind = found(train, test, tmp_path, nowhere)["linear SVM"]["tasks"]["intent"]
    assert blind["accuracy"] == 0.5, "what is not shown in evaluation is not read there"


def test_a_task_that_train_lacks_is_named(tmp_path):
    with pytest.raises(InputError, match=r"data\.train has no record of task 'intent'"):
        found([], records("test"), tmp_path)


@pytest.mark.slow
def test_baselines_and_modes_stand_in_the_scores_and_valid_gives_a_temperature(tmp_path, folders, monkeypatch, capsys):
    for split in ("train", "valid", "test"):
        rows = [
            {"id": r.id, "task": r.task, "turns": [{"role": "user", "text": r.turns[0].text}], "label": r.label}
            for r in records(split)
        ]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "data": {s: f"{s}.jsonl" for s in ("train", "valid", "test")},
        "model": {"path": folders["student"]},
        "lora": None,
    }
    (tmp_path / "c.yaml").write_text(json.dumps(config | {"cache_dir": str(tmp_path / "cache")}))
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", "--config", "c.yaml", "--out", "out", "--baselines", "--mode", "vote"]
    assert cli.main("kd_rag", {"evaluate": "kd_rag.commands.evaluate"}, words) == 0
    printed = capsys.readouterr().out
    assert "linear SVM: weighted F1 intent 100.00, average 100.00" in printed
    kept = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert kept["baselines"]["linear SVM"]["average_score"] == 100
    scores = kept["tasks"]["intent"]
    assert (scores["n"], scores["temperature_scaling"]["fitted_on"]) == (5, 5)
    assert (tmp_path / "out" / "predictions-valid.jsonl").exists()
    events = EventAccumulator(str(tmp_path / "out")).Reload()
    assert events.Scalars("final/test/average_score")[0].value == pytest.approx(kept["average_score"])
    modes = {name: found["tasks"]["intent"] for name, found in kept["modes"].items()}
    assert {name: found["no_label_share"] for name, found in modes.items()} == {"generate": 0, "free": 1, "vote": 0}
    assert modes["free"]["accuracy"] == 0, "random weights say no label to the letter"
    assert modes["vote"]["accuracy"] == scores["accuracy"], "of two answers the tree's comes first"
    assert "free: weighted F1 intent 0.00, average 0.00; no label: 100.0% of intent" in printed
