"""Scores, against scikit-learn and independent computations."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, classification_report, f1_score, log_loss

from kd_rag.evaluation.baselines import majority_class
from kd_rag.evaluation.metrics import score, score_task
from kd_rag.evaluation.predictions import Prediction
from kd_rag.types import InputError

LABELS = ["refund", "物流", "gift card", "其他", "never seen"]


def drawn(seed, n, labels=LABELS):
    """Return gold labels (never the last of `labels`) and probabilities that are right more often than not."""
    rng = np.random.default_rng(seed)
    gold = [labels[i] for i in rng.integers(0, len(labels) - 1, size=n)]
    likelihoods = rng.gamma(0.5, size=(n, len(labels))) + np.eye(len(labels))[[labels.index(g) for g in gold]] * 0.7
    return gold, likelihoods / likelihoods.sum(axis=1, keepdims=True)


def prediction(**changes):
    base = {"id": "r1", "task": "intent", "label": "a", "predicted": "a", "probabilities": {"a": 0.75, "b": 0.25}}
    return Prediction(**{**base, "passages": [], "ocr": "", **changes})


@given(seed=st.integers(0, 10_000), n=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_scores_equal_scikit_learn(seed, n):
    """The challenge is decided by scikit-learn's weighted F1: another average would not be comparable."""
    gold, probabilities = drawn(seed, n)
    predicted = [LABELS[i] for i in probabilities.argmax(axis=1)]
    scores = score_task(LABELS, gold, probabilities, bootstrap_samples=10, seed=0)
    assert scores["n"] == n
    assert scores["accuracy"] == accuracy_score(gold, predicted)
    assert scores["weighted_f1"] == f1_score(gold, predicted, average="weighted", zero_division=0)
    assert scores["macro_f1"] == f1_score(gold, predicted, average="macro", zero_division=0)
    columns = [LABELS.index(g) for g in gold]
    assert scores["nll"] == pytest.approx(log_loss(columns, probabilities, labels=range(len(LABELS))))
    whole = classification_report(gold, predicted, labels=LABELS, output_dict=True, zero_division=0)
    for label, own in scores["per_label"].items():
        own = dict(own)
        assert 0 <= own.pop("f1_ci95")[0] <= 1
        assert own == {key.replace("-score", ""): value for key, value in whole[label].items()}


def test_labels_stay_in_prompt_order_and_include_those_without_records():
    gold, probabilities = drawn(0, 30)
    per_label = score_task(LABELS, gold, probabilities, 10, 0)["per_label"]
    assert list(per_label) == LABELS
    assert per_label["never seen"]["support"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_equals_a_loop_over_the_bins(seed):
    gold, probabilities = drawn(seed, 300)
    confidence, choice = probabilities.max(axis=1), probabilities.argmax(axis=1)
    expected = 0.0
    for k in range(15):
        inside = [i for i in range(300) if k / 15 <= confidence[i] < (k + 1) / 15]
        if inside:
            right = sum(LABELS[choice[i]] == gold[i] for i in inside)
            expected += abs(right - sum(confidence[i] for i in inside)) / 300
    assert score_task(LABELS, gold, probabilities, 10, 0)["ece"] == pytest.approx(expected, abs=1e-12)


def test_full_confidence_shares_the_last_bin():
    """A saturated model says exactly 1; a sixteenth bin for it would cancel no error against its neighbours."""
    probabilities = np.array([[1.0, 0.0], [0.95, 0.05]])
    ece = score_task(["a", "b"], ["b", "a"], probabilities, 10, 0)["ece"]
    assert ece == pytest.approx(abs(0.5 - 0.975))


def test_likelihood_zero_stays_a_number():
    """-log 0 would write Infinity, which is no JSON."""
    scores = score_task(["a", "b"], ["b"], np.array([[1.0, 0.0]]), 10, 0)
    assert scores["nll"] == -math.log(np.finfo(np.float64).eps)


def test_equals_go_to_the_first_label_in_prompt_order():
    """Sorted order would make a score depend on the names of the labels."""
    assert score_task(["z", "a"], ["z"], np.array([[0.5, 0.5]]), 10, 0)["accuracy"] == 1.0


def test_float32_probabilities_score_like_their_float64_copies():
    gold, probabilities = drawn(1, 50)
    single = probabilities.astype(np.float32)
    assert score_task(LABELS, gold, single, 10, 0) == score_task(LABELS, gold, single.astype(np.float64), 10, 0)


def test_score_names_tasks_and_averages_them():
    predictions = [
        prediction(),
        prediction(id="r2", label="b", predicted="b", probabilities={"b": 0.9, "a": 0.1}),
        prediction(id="r1", task="image_scene", label="x", predicted="y", probabilities={"x": 0.4, "y": 0.6}),
    ]
    scores = score(predictions, {"intent": ["a", "b"], "image_scene": ["x", "y"], "unused": ["q"]}, 20, 0)
    assert list(scores) == ["tasks", "intent_score", "image_scene_score", "average_score"]
    assert (scores["intent_score"], scores["image_scene_score"], scores["average_score"]) == (100.0, 0.0, 50.0)
    assert scores["tasks"]["intent"]["n"] == 2
    assert "unused" not in scores["tasks"]


def test_scores_are_plain_json_and_repeat_to_the_last_digit():
    """`metrics.json` of two runs with one seed is compared byte by byte."""
    gold, probabilities = drawn(2, 80)
    rows = [
        prediction(id=str(i), label=g, probabilities=dict(zip(LABELS, row.tolist(), strict=True)))
        for i, (g, row) in enumerate(zip(gold, probabilities, strict=True))
    ]
    once, again, other = (json.dumps(score(rows, {"intent": LABELS}, 100, s), allow_nan=False) for s in (7, 7, 8))
    assert once == again
    assert once != other
    assert json.loads(once) == score(rows, {"intent": LABELS}, 100, 7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": None}, "record 'r1' has no label"),
        ({"label": "c"}, "record 'r1': 'c' is no label of task 'intent'"),
        ({"task": "mood"}, "record 'r1': task 'mood' is none of"),
        ({"probabilities": {"a": 1.0}}, "record 'r1': there is no probability for label 'b'"),
    ],
)
def test_what_cannot_be_scored_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        score([prediction(**changes)], {"intent": ["a", "b"]}, 10, 0)


def test_no_records_is_an_error_and_not_a_score():
    with pytest.raises(InputError, match="no record to score"):
        score([], {"intent": ["a"]}, 10, 0)


def test_majority_class_answers_every_record_from_the_training_labels():
    """A baseline that looked at the scored labels would be too good."""
    records = [prediction(label=label) for label in "aab"]
    guesses = majority_class({"intent": {"b": 3, "a": 1}}, records)
    assert [g.predicted for g in guesses] == ["b", "b", "b"]
    assert guesses[0].probabilities == {"a": 0.25, "b": 0.75}
    assert score(guesses, {"intent": ["a", "b"]}, 10, 0)["tasks"]["intent"]["accuracy"] == pytest.approx(1 / 3)


def test_majority_class_takes_the_first_of_equals_in_prompt_order():
    assert majority_class({"intent": {"b": 2, "a": 2}}, [prediction()])[0].predicted == "a"
