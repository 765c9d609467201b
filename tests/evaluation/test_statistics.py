"""The bootstrap interval, against scikit-learn in a plain loop and against resampled records."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind
from sklearn.metrics import f1_score

from kd_rag.evaluation.statistics import bootstrap_f1, welch

LABELS = ["refund", "物流", "gift card", "其他"]
pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30)


def weighted_f1(gold, predicted):
    return f1_score(gold, predicted, average="weighted", zero_division=0)


@given(pairs=pairs, seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_interval_equals_a_loop_with_scikit_learn_on_the_same_resamples(pairs, seed):
    """A slip in the vectorised counts would give a plausible interval that belongs to no score."""
    cells = sorted(Counter(pairs).items())
    shares = [count / len(pairs) for _, count in cells]
    scores, of_first, label = [], [], pairs[0][0]
    for draw in np.random.default_rng(seed).multinomial(len(pairs), shares, size=40):
        resample = [pair for (pair, _), times in zip(cells, draw, strict=True) for _ in range(times)]
        scores.append(weighted_f1(*zip(*resample, strict=True)))
        of_first += f1_score(*zip(*resample, strict=True), labels=[label], average=None, zero_division=0).tolist()
    (low, high), each = bootstrap_f1(*zip(*pairs, strict=True), samples=40, seed=seed)
    assert [low, high] == pytest.approx(np.percentile(scores, [2.5, 97.5]), abs=1e-12)
    assert each[label] == pytest.approx(np.percentile(of_first, [2.5, 97.5]), abs=1e-12)


def test_interval_is_that_of_resampled_records():
    """Drawing cells instead of records must not change the distribution, or the interval is too narrow or wide."""
    rng = np.random.default_rng(0)
    gold = rng.choice(LABELS, size=200, p=[0.6, 0.2, 0.15, 0.05])
    predicted = np.where(rng.random(200) < 0.7, gold, rng.choice(LABELS, size=200))
    picks = rng.integers(0, 200, size=(1000, 200))
    scores = [weighted_f1(gold[pick], predicted[pick]) for pick in picks]
    interval, _ = bootstrap_f1(list(gold), list(predicted), samples=4000, seed=1)
    assert interval == pytest.approx(np.percentile(scores, [2.5, 97.5]), abs=0.01)


def test_interval_follows_the_seed_and_not_the_order_of_the_records():
    """A run repeated with another number of workers may see its records in another order."""
    rng = np.random.default_rng(0)
    gold, predicted = list(rng.choice(LABELS, 60)), list(rng.choice(LABELS, 60))
    first = bootstrap_f1(gold, predicted, 200, seed=3)
    assert first == bootstrap_f1(gold[::-1], predicted[::-1], 200, seed=3)
    assert first != bootstrap_f1(gold, predicted, 200, seed=4)


def test_perfect_predictions_have_no_spread():
    assert bootstrap_f1(LABELS, LABELS, 100, seed=0)[0] == (1.0, 1.0)


def test_welch_equals_scipy_and_a_single_value_borrows_the_other_sides_spread():
    one, other = np.array([0.5, 0.52, 0.57]), np.array([0.61, 0.66])
    theirs = ttest_ind(other, one, equal_var=False)
    low, high, p = welch(one, other)
    assert p == pytest.approx(theirs.pvalue)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    # As a prediction interval of one more value: the spread of 0.036 times the root of 1 + 1/3, with two degrees.
    low, high, _ = welch(one, np.array([0.6]))
    assert (high - low) / 2 == pytest.approx(4.302653 * one.std(ddof=1) * (4 / 3) ** 0.5)
    assert welch(one[:1], one[:2])[2] == pytest.approx(0.666667, abs=1e-6)
    assert welch(np.array([0.5]), np.array([0.5, 0.5])) == (0, 0, 1)
    assert welch(np.array([0.5]), np.array([0.75, 0.75])) == (0.25, 0.25, 0)
