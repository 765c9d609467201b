"""Two rankings into one.

In: the scores of two retrievers for the same queries and passages. Out: one score a passage, -inf where neither found
it. `share` is the weight of the second, between 0 and 1; the first has the rest.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int

from kd_rag.retrievers._search import Allowed, Scores
from kd_rag.retrievers._selection import scaled

_RANK_OFFSET = 60


def blended(first: Scores, second: Scores, share: float, allowed: Allowed) -> Scores:
    """Return the weighted mean of both scores, each scaled to [0, 1] over the allowed passages (Bruch et al. 2023).

    Unlike ranks, it keeps by how much a passage is better.
    """
    return (1 - share) * scaled(first, allowed) + share * scaled(second, allowed)


def reciprocal_ranks(first: Scores, second: Scores, share: float, depth: int) -> Scores:
    """Return `(1 - share) / (60 + rank in first) + share / (60 + rank in second)` (Cormack et al. 2009).

    A passage beyond the best `depth` of one side gets nothing from it. Scores of -inf have no rank.
    """
    ranks = (_ranks(first, depth), _ranks(second, depth))
    parts = [weight / (_RANK_OFFSET + rank) for weight, rank in zip((1 - share, share), ranks, strict=True)]
    total: Scores = np.add(*parts)
    return np.where(np.isinf(ranks[0]) & np.isinf(ranks[1]), -np.inf, total)


def among_best(scores: Scores, judge: Scores, depth: int) -> Scores:
    """Return `scores` for the passages that `judge` counts among its best `depth`, -inf for the others."""
    return np.where(np.isinf(_ranks(judge, depth)), -np.inf, scores)


def _ranks(scores: Scores, depth: int) -> Float64[np.ndarray, "queries passages"]:
    """Return ranks from 1, the first of equals first; infinity beyond `depth` and where the score is -inf."""
    order: Int[np.ndarray, "queries passages"] = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty(scores.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, scores.shape[1] + 1)[None], axis=1)
    ranks[(ranks > depth) | (scores == -np.inf)] = np.inf
    return ranks
