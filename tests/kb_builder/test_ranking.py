"""Scores of a ranking: by hand, and against torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.retrieval import (
    retrieval_normalized_dcg,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from kb_builder.ranking import METRICS, intervals, scores


def test_by_hand():
    grades = {"a": 2, "b": 1, "elsewhere": 1}
    found = dict(zip(METRICS, scores(["x", "b", "y", "a"], grades), strict=True))
    gain = 1 / np.log2(3) + 2 / np.log2(5)
    best = 2 + 1 / np.log2(3) + 1 / np.log2(4)
    assert found == pytest.approx(
        {"recall@1": 0, "recall@5": 2 / 3, "recall@10": 2 / 3, "MRR@10": 1 / 2, "nDCG@10": gain / best}
    )


def test_an_answer_beyond_the_first_ten_is_not_found():
    assert scores([*"bcdefghijk", "a"], {"a": 1}) == (0, 0, 0, 0, 0)
    assert scores([], {"a": 1}) == (0, 0, 0, 0, 0)
    assert scores(["a"], {"a": 2}) == (1, 1, 1, 1, 1)


def test_as_torchmetrics_has_it():
    rng = np.random.default_rng(0)
    for _ in range(50):
        passages = [f"p{i}" for i in range(30)]
        grades = {
            p: int(g) for p, g in zip(passages, rng.integers(0, 3, 30) * rng.integers(0, 2, 30), strict=True) if g
        }
        ranking = list(rng.permutation(passages))
        if not grades:
            continue
        target = torch.tensor([grades.get(p, 0) for p in ranking])
        preds = torch.arange(30, 0, -1).float()
        expected = [retrieval_recall(preds, target > 0, top_k=k) for k in (1, 5, 10)]
        expected.append(retrieval_reciprocal_rank(preds, target > 0, top_k=10))
        expected.append(retrieval_normalized_dcg(preds, target, top_k=10))
        assert scores(ranking, grades) == pytest.approx([float(value) for value in expected], abs=1e-6)


def test_intervals_hold_the_mean_and_narrow_with_more_queries():
    few = np.array([[0.0, 1.0], [1.0, 1.0]] * 200)
    many = np.repeat(few, 25, axis=0)
    (low, high), (low_many, high_many) = intervals(few, 2000, seed=0), intervals(many, 2000, seed=0)
    assert low[1] == high[1] == 1.0, "what never varies has no interval"
    # The mean of n fair coins has the standard deviation 0.5 / sqrt(n).
    assert (high - low)[0] == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(400), rel=0.1)
    assert (high_many - low_many)[0] == pytest.approx((high - low)[0] / 5, rel=0.1)
    assert (intervals(few, 100, seed=1) == intervals(few, 100, seed=1)).all()
