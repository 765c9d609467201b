"""Weights by effective number, against the formula and at both ends."""

import pytest

from kd_rag.data.balance import label_weights
from kd_rag.types import InputError, Record

RECORDS = [
    Record(str(i), task, (), (), label)
    for i, (task, label) in enumerate([("a", "x")] * 12 + [("a", "y")] * 3 + [("b", "x")])
]


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999999])
def test_weights_follow_the_formula_with_mean_one_over_the_records(beta):
    """A mean over labels instead of records, which changes the learning rate with beta."""
    weights = label_weights(RECORDS, beta, "key")
    assert sum(weights[r.task, r.label] for r in RECORDS) / len(RECORDS) == pytest.approx(1)
    effective = [sum(beta**i for i in range(n)) for n in (12, 3, 1)]
    found = [weights["a", "x"], weights["a", "y"], weights["b", "x"]]
    assert [w / found[2] for w in found] == pytest.approx([1 / e for e in effective])


def test_a_task_that_is_left_alone_weighs_one_and_moves_no_other():
    """Weights of one task scaled by the records of another, which changes its learning rate."""
    alone = label_weights([r for r in RECORDS if r.task == "a"], 0.9, "key")
    assert label_weights(RECORDS, 0.9, "key", {"b"}) == {**alone, ("b", "x"): 1.0}
    assert set(label_weights(RECORDS, 0.9, "key", {"a", "b"}).values()) == {1.0}
    assert label_weights(RECORDS, 0.9, "key", {"c"}) == label_weights(RECORDS, 0.9, "key") != alone


def test_ends():
    assert set(label_weights(RECORDS, 0.0, "key").values()) == {1.0}
    weights = label_weights(RECORDS, 1 - 1e-9, "key")
    assert weights["a", "y"] / weights["a", "x"] == pytest.approx(4, rel=1e-4)


@pytest.mark.parametrize("beta", [-0.1, 1.0, 2.0])
def test_a_wrong_beta_is_named(beta):
    with pytest.raises(InputError, match=r"balance\.loss_beta: expected a number from 0 to below 1"):
        label_weights(RECORDS, beta, "balance.loss_beta")
