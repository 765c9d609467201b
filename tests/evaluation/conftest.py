"""Hand-made run folders, whose every score is known."""

import json

import pytest

from kd_rag import config
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.predictions import Prediction, write_predictions

TASKS = {"intent": ["refund", "shipping | eta", "other", "no record has it"], "image_scene": ["cart", "chat"]}
COUNTS = {"intent": {"refund": 30, "shipping | eta": 20, "other": 10}, "image_scene": {"chat": 5, "cart": 3}}
INTENTS = ["refund"] * 20 + ["shipping | eta"] * 15 + ["other"] * 5
SCENES = ["cart"] * 10 + ["chat"] * 10


def outcomes(task, gold, wrong):
    """Predict each gold label but those at the positions in `wrong`, which get the next label, ever less sure."""
    labels = TASKS[task]
    for i, label in enumerate(gold):
        predicted = labels[(labels.index(label) + (i in wrong)) % len(labels)]
        sure = 0.9 - i / 1000
        probabilities = {x: sure if x == predicted else (1 - sure) / (len(labels) - 1) for x in labels}
        yield Prediction(f"{task}-{i:02d}", task, label, predicted, probabilities, ["faq-1"], "")


@pytest.fixture
def make_run(tmp_path):
    """Return a function that writes a finished run folder."""

    def make(name, wrong_intents, wrong_scenes, overrides=(), **facts):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        predictions = [*outcomes("intent", INTENTS, wrong_intents), *outcomes("image_scene", SCENES, wrong_scenes)]
        write_predictions(folder / "predictions-test.jsonl", predictions)
        metrics = {"split": "test", **score(predictions, TASKS, bootstrap_samples=200, seed=0)}
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        facts = {"command": "fit", "train_label_counts": COUNTS, **facts}
        (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
        settings = [f"run.name={name}", "evaluation.bootstrap_samples=200", *overrides]
        config.save(config.load(overrides=settings), folder / "config.yaml")
        return folder

    return make


@pytest.fixture
def teacher(make_run):
    return make_run("teacher", {39}, set(), trainable_parameters=1234567, wall_seconds=3723.4)


@pytest.fixture
def student(make_run):
    overrides = ["trainer.epochs=5", "lora.r=8"]
    return make_run("student", set(range(0, 40, 2)), {0, 1}, overrides, command="distill")
