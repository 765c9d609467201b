"""How good a ranking is, and how far that may move by chance.

In: ranked passage ids and the grades of those that answer the query. Out: recall at 1, 5 and 10, the reciprocal rank of
the first answer (MRR) and the discounted gain of all (nDCG, Jarvelin and Kekalainen 2002), both over the first ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from kd_rag.evaluation.statistics import CONFIDENCE

METRICS = ("recall@1", "recall@5", "recall@10", "MRR@10", "nDCG@10")
DEPTH = 10
"""So many passages of a ranking count."""


def scores(ranking: Sequence[str], grades: Mapping[str, int]) -> tuple[float, ...]:
    """Return the METRICS of one query, each in [0, 1]; `grades` holds at least one passage, all at least 1.

    The gain of a passage is its grade, as trec_eval has it, divided by log2 of its rank + 1.
    """
    found = [grades.get(identity, 0) for identity in ranking[:DEPTH]]
    hits = [grade > 0 for grade in found]
    recalls = [sum(hits[:k]) / len(grades) for k in (1, 5, DEPTH)]
    reciprocal_rank = 1 / (hits.index(True) + 1) if any(hits) else 0.0
    return (*recalls, reciprocal_rank, _gain(found) / _gain(sorted(grades.values(), reverse=True)[:DEPTH]))


def _gain(grades: Sequence[int]) -> float:
    return float(sum(grade / np.log2(rank + 1) for rank, grade in enumerate(grades, start=1)))


def intervals(
    values: Float64[np.ndarray, "queries metrics"], samples: int, seed: int
) -> Float64[np.ndarray, "2 metrics"]:
    """Return the ends of the 95% bootstrap interval (Efron 1979) of each column's mean."""
    queries = len(values)
    drawn = np.random.default_rng(seed).multinomial(queries, np.full(queries, 1 / queries), size=samples)
    tail = 50 * (1 - CONFIDENCE)
    ends: Float64[np.ndarray, "2 metrics"] = np.percentile(drawn @ values / queries, [tail, 100 - tail], axis=0)
    return ends
