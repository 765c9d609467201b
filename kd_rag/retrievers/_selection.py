"""What every retriever offers behind its scores: filters, a floor, reranking, diversity.

In: scores of all passages. Out: which passages stand in a prompt. A dataclass of options, shared by all members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from kd_rag.types import InputError, Passage

DEFAULT_K = 3
"""Passages of a prompt."""


@dataclass(frozen=True)
class Selection:
    """Which of the passages found are kept."""

    kinds: list[str] | None = None
    """Kinds of passages that are searched; null searches all."""
    where: dict[str, Any] = field(default_factory=dict)
    """Searched are the passages whose metadata has all of these values; 38 also finds the text `38`, which is what a
    table holds."""
    min_score: float | None = None
    """Passages that score less are left out; on the member's own scale, before reranking."""
    reranker: str | None = None
    """Folder or hub id of a cross-encoder, which reads query and passage together and orders the candidates anew."""
    diversity: float = 0.0
    """0 takes the best, 1 what is least like the passages taken before (maximal marginal relevance)."""
    candidates: int = 50
    """So many of the best are reranked, or chosen from for diversity."""

    def depth(self, k: int) -> int:
        """Return how many of the best are needed to choose `k` of them; raise InputError for what cannot be."""
        if k < 1:
            raise InputError(f"retriever.k={k}: must be at least 1; retriever.name=none retrieves nothing")
        if not 0 <= self.diversity <= 1:
            raise InputError(f"retriever.selection.diversity={self.diversity}: must be between 0 and 1")
        return k if self.reranker is None and self.diversity == 0 else max(k, self.candidates)

    def searched(self, passages: Sequence[Passage]) -> Bool[np.ndarray, " passages"]:
        """Return which passages the filters let through; raise InputError when that is none."""
        kept = np.array([self._lets_through(p) for p in passages])
        if not kept.any():
            kinds = ", ".join(sorted({p.kind for p in passages}))
            raise InputError(
                f"retriever.selection: kinds={self.kinds}, where={self.where} leave no passage to search; "
                f"the knowledge base holds passages of kind {kinds}"
            )
        return kept

    def _lets_through(self, passage: Passage) -> bool:
        absent = object()
        return (self.kinds is None or passage.kind in self.kinds) and all(
            _spelled(passage.metadata.get(key, absent)) == _spelled(value) for key, value in self.where.items()
        )


def _spelled(value: Any) -> Any:
    """Return numbers as text: a table has nothing else, and a command line reads 38 as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def scaled(
    scores: Float[np.ndarray, "*rows passages"], allowed: Bool[np.ndarray, "*rows passages"]
) -> Float64[np.ndarray, "*rows passages"]:
    """Return scores scaled so that the worst allowed passage has 0 and the best 1; equal ones all have 0."""
    low = np.where(allowed, scores, np.inf).min(axis=-1, keepdims=True)
    width = np.where(allowed, scores, -np.inf).max(axis=-1, keepdims=True) - low
    shares = np.zeros(scores.shape)
    np.divide(scores - low, width, out=shares, where=allowed & (width > 0))
    return shares


def diverse(
    relevance: Float64[np.ndarray, " candidates"],
    vectors: Float[np.ndarray, "candidates dim"],
    k: int,
    diversity: float,
) -> list[int]:
    """Return up to `k` candidates, chosen one by one: maximal marginal relevance (Carbonell and Goldstein 1998).

    The next is the one with the largest `(1 - diversity) * relevance - diversity * similarity`, where relevance is
    scaled to [0, 1] and similarity is the largest cosine to one chosen before. The first of equals wins.
    """
    gain = (1 - diversity) * scaled(relevance, np.ones_like(relevance, bool))
    alike = vectors @ vectors.T
    chosen: list[int] = []
    for _ in range(min(k, len(relevance))):
        worth = gain - diversity * alike[:, chosen].max(axis=1) if chosen else gain
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
    return chosen
