"""Temperature, reliability bins and coverage, against a grid search, sums over bins and plain sorting."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, log_loss

from kd_rag.evaluation.calibration import (
    TEMPERATURES,
    accuracy_at_coverage,
    details,
    fit_temperature,
    reliability_bins,
    tempered,
)
from kd_rag.evaluation.metrics import score_task
from kd_rag.evaluation.predictions import Prediction

LABELS = ["refund", "物流", "gift card", "其他"]


def drawn(seed, n, temperature=1.0):
    """Return gold columns drawn from p, and probabilities p^(1/`temperature`) renormalised."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, len(LABELS)))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gold = np.array([rng.choice(len(LABELS), p=row) for row in p])
    powered = p ** (1 / temperature)
    return gold, powered / powered.sum(axis=1, keepdims=True)


def predictions(gold, probabilities):
    return [
        Prediction(
            str(i), "intent", LABELS[g], LABELS[row.argmax()], dict(zip(LABELS, row.tolist(), strict=True)), [], ""
        )
        for i, (g, row) in enumerate(zip(gold, probabilities, strict=True))
    ]


@pytest.mark.parametrize("seed", range(3))
def test_temperature_equals_a_grid_search_with_scikit_learns_log_loss(seed):
    """A temperature that is not the likeliest would pass for calibration."""
    gold, probabilities = drawn(seed, 200, temperature=0.6)
    grid = np.exp(np.linspace(-2, 2, 801))
    losses = [log_loss(gold, tempered(probabilities, t), labels=range(4)) for t in grid]
    assert fit_temperature(probabilities, gold) == pytest.approx(grid[int(np.argmin(losses))], rel=0.01)


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_temperature_undoes_the_one_that_made_the_probabilities(true):
    gold, probabilities = drawn(0, 20_000, temperature=true)
    assert fit_temperature(probabilities, gold) == pytest.approx(1 / true, rel=0.05)


def test_a_split_without_mistakes_ends_at_the_bound():
    _, probabilities = drawn(0, 50)
    assert fit_temperature(probabilities, probabilities.argmax(axis=1)) == pytest.approx(TEMPERATURES[0], rel=1e-3)


@given(seed=st.integers(0, 1000), temperature=st.floats(*TEMPERATURES))
@settings(max_examples=40, deadline=None)
def test_tempering_is_the_power_renormalised_and_keeps_the_order(seed, temperature):
    """A temperature that changed a prediction would change the score."""
    _, probabilities = drawn(seed, 5)
    found = tempered(probabilities, temperature)
    for row, own in zip(probabilities.tolist(), found, strict=True):
        powers = [math.exp(math.log(p / max(row)) / temperature) for p in row]
        assert own == pytest.approx([p / sum(powers) for p in powers], rel=1e-9, abs=1e-300)
        assert own.argmax() == np.argmax(row)


def test_a_probability_of_zero_stays_finite():
    assert np.isfinite(tempered(np.array([[1.0, 0.0]]), 0.05)).all()
    assert np.isfinite(fit_temperature(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1])))


@pytest.mark.parametrize("seed", range(3))
def test_reliability_bins_add_up_to_the_calibration_error(seed):
    """A diagram that disagrees with the figure beside it would be read as another model's."""
    gold, probabilities = drawn(seed, 300)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == gold
    bins = reliability_bins(confidence, right)
    error = sum(b["n"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / 300
    assert error == pytest.approx(score_task(LABELS, [LABELS[g] for g in gold], probabilities, 10, 0)["ece"])
    assert sum(b["n"] for b in bins) == 300
    for b in bins:
        assert b["n"] == sum(b["low"] <= c < b["high"] for c in confidence)


def test_full_confidence_is_in_the_last_bin():
    assert reliability_bins(np.array([1.0, 0.95]), np.array([False, True])) == [
        {"low": 14 / 15, "high": 1.0, "n": 2, "confidence": 0.975, "accuracy": 0.5}
    ]


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_accuracy_at_coverage_is_that_of_the_surest_records(right, random):
    confidence = random.sample(range(1000), len(right))
    ranked = [r for _, r in sorted(zip(confidence, right, strict=True), reverse=True)]
    found = accuracy_at_coverage(np.array(confidence) / 1000, np.array(right))
    assert list(found) == ["50", "80", "90", "95", "100"]
    for percent, accuracy in found.items():
        kept = ranked[: math.ceil(len(right) * int(percent) / 100)]
        assert accuracy == pytest.approx(sum(kept) / len(kept))


def test_equally_sure_records_count_in_proportion():
    """The order of the file would otherwise decide which of them is answered."""
    for right in ([True, False], [False, True]):
        assert accuracy_at_coverage(np.array([0.7, 0.7]), np.array(right))["50"] == 0.5


def test_details_hold_the_confusion_matrix_and_the_scores_before_and_after():
    gold, probabilities = drawn(1, 200, temperature=0.5)
    valid = drawn(2, 150, temperature=0.5)
    found = details(predictions(gold, probabilities), {"intent": LABELS}, predictions(*valid))["intent"]
    matrix = [[found["confusion"].get(g, {}).get(p, 0) for p in LABELS] for g in LABELS]
    assert matrix == confusion_matrix(gold, probabilities.argmax(axis=1)).tolist()
    scaling = found["temperature_scaling"]
    assert scaling["temperature"] == fit_temperature(valid[1], valid[0])
    assert scaling["fitted_on"] == 150
    for stage, p in (("before", probabilities), ("after", tempered(probabilities, scaling["temperature"]))):
        scores = score_task(LABELS, [LABELS[g] for g in gold], p, 10, 0)
        assert scaling[stage] == {"nll": pytest.approx(scores["nll"]), "ece": pytest.approx(scores["ece"])}
    assert scaling["after"]["nll"] < scaling["before"]["nll"]


def test_without_valid_nothing_is_scaled():
    found = details(predictions(*drawn(1, 20)), {"intent": LABELS}, None)
    assert "temperature_scaling" not in found["intent"]
