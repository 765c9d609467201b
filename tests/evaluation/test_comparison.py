"""Paired comparison, against a loop with scikit-learn, binomial sums by hand and worlds whose truth is known."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from kd_rag.evaluation.comparison import compare, compare_task, mcnemar
from kd_rag.evaluation.predictions import Prediction
from kd_rag.types import InputError

LABELS = ["refund", "物流", "gift card"]
rows = st.lists(st.tuples(*[st.sampled_from(LABELS)] * 3), min_size=1, max_size=25)


def weighted(gold, predicted):
    return f1_score(gold, predicted, average="weighted", zero_division=0)


def run(gold, predicted, task="intent"):
    return [
        Prediction(f"r{i}", task, g, p, {label: float(label == p) for label in LABELS}, [], "")
        for i, (g, p) in enumerate(zip(gold, predicted, strict=True))
    ]


def noisy(gold, share, rng):
    return np.where(rng.random(len(gold)) < share, gold, rng.choice(LABELS, size=len(gold))).tolist()


@given(rows, st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_interval_and_p_equal_a_loop_with_scikit_learn(rows, seed):
    """Models must be resampled together: apart, the interval would be too wide to see anything."""
    gold, one, other = (np.array(column) for column in zip(*rows, strict=True))
    rng, differences = np.random.default_rng(seed), []
    for _ in range(30):
        pick = rng.integers(len(gold), size=len(gold))
        differences.append(weighted(gold[pick], other[pick]) - weighted(gold[pick], one[pick]))
    found = compare_task(gold.tolist(), [one.tolist()], [other.tolist()], samples=30, seed=seed)
    assert found.difference == pytest.approx(weighted(gold, other) - weighted(gold, one))
    assert [found.low, found.high] == pytest.approx(np.percentile(differences, [2.5, 97.5]), abs=1e-12)
    # Sums in another order may make a tie of 0 a hair more or less.
    strict, loose = (min(sum(d <= e for d in differences), sum(d >= -e for d in differences)) for e in (-1e-12, 1e-12))
    assert 2 * (strict + 1) / 31 <= found.p + 1e-12 or found.p == 1
    assert found.p <= 2 * (loose + 1) / 31 + 1e-12


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_twice_the_binomial_tail(one, other):
    n = one + other
    tail = sum(math.comb(n, k) for k in range(min(one, other) + 1)) / 2**n
    assert mcnemar(one, other) == pytest.approx(min(1.0, 2 * tail))


def test_a_model_is_no_better_than_itself():
    gold = LABELS * 10
    predicted = noisy(gold, 0.5, np.random.default_rng(0))
    found = compare([run(gold, predicted)], [run(gold, predicted)[::-1]], 100, 0)["intent"]
    assert (found.difference, found.low, found.high, found.p, found.mcnemar_p) == (0, 0, 0, 1, 1)
    assert found.verdict == "within noise"


def test_a_clear_difference_is_told_in_its_direction():
    rng = np.random.default_rng(0)
    gold = LABELS * 60
    weak, strong = run(gold, noisy(gold, 0.4, rng)), run(gold, noisy(gold, 0.9, rng))
    up, down = (compare(*pair, 500, 0)["intent"] for pair in (([weak], [strong]), ([strong], [weak])))
    assert (up.verdict, down.verdict) == ("better", "worse")
    assert (up.only_first, up.only_second) == (down.only_second, down.only_first)
    assert up.p == pytest.approx(2 / 501)


def test_seeds_are_resampled_too():
    """One lucky seed among two must widen the interval, or luck would pass for a method."""
    rng = np.random.default_rng(1)
    gold = LABELS * 50
    base, poor, good = (noisy(gold, share, rng) for share in (0.5, 0.3, 0.95))
    found = compare([run(gold, base)], [run(gold, poor), run(gold, good)], 400, 0)["intent"]
    alone = compare([run(gold, base)], [run(gold, good)], 400, 0)["intent"]
    mean = (weighted(gold, poor) + weighted(gold, good)) / 2
    assert found.difference == pytest.approx(mean - weighted(gold, base))
    assert (found.verdict, alone.verdict) == ("within noise", "better")
    assert found.mcnemar_p is None


def test_other_records_are_named():
    gold = LABELS * 2
    first, other = run(gold, gold), run(gold, gold)
    with pytest.raises(InputError, match="record 'r5' of task 'intent' is in the first run only"):
        compare([first], [other[:-1]], 10, 0)
    with pytest.raises(InputError, match="record 'r3' of task 'intent' is in the second run only"):
        compare([first[:3]], [other], 10, 0)
    other[1] = dataclasses.replace(other[1], label="refund")
    with pytest.raises(InputError, match="record 'r1' of task 'intent' is labelled '物流' in one run and 'refund'"):
        compare([first], [other], 10, 0)
