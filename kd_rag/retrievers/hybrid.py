"""Dense and lexical retrieval together: vectors find what is meant, BM25 what is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal

import numpy as np

from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.retrievers._fusion import among_best, blended, reciprocal_ranks
from kd_rag.retrievers._lexical import LexicalIndex, TermWeights, index_passages
from kd_rag.retrievers._scores import cosine, encoded
from kd_rag.retrievers._search import Allowed, Scores, Search
from kd_rag.retrievers._selection import DEFAULT_K, Selection
from kd_rag.types import InputError, Query, Retrieved


class Hybrid:
    """The `k` best passages by vectors and words together.

    `mode` says how: `blend` takes the mean of both scores, scaled to [0, 1], with the weight `bm25_share` on BM25;
    `rrf` does the same with reciprocal ranks, over the best `depth` of each side; `rescore` orders BM25's best `depth`
    by their vectors. `blend` with a fifth for BM25, the default, was chosen because it was at least as good as the
    better of its parts on every set that was measured; the other two were not (benchmarks/retrieval.md).
    """

    def __init__(
        self,
        open_knowledge: Callable[[], KnowledgeBase],
        *,
        k: int = DEFAULT_K,
        mode: Literal["blend", "rrf", "rescore"] = "blend",
        bm25_share: float = 0.2,
        depth: int = 50,
        terms: TermWeights = TermWeights(),
        selection: Selection = Selection(),
    ) -> None:
        if not 0 <= bm25_share <= 1:
            raise InputError(f"retriever.bm25_share={bm25_share}: must be between 0 and 1")
        if mode != "blend" and depth < k:
            raise InputError(f"retriever.depth={depth}: must be at least retriever.k, which is {k}")
        self._knowledge = open_knowledge()
        self._search = Search(self._knowledge, k, selection)
        self._mode, self._share, self._depth = mode, bm25_share, depth
        self._terms = terms
        self.snapshot = self._knowledge.snapshot

    @cached_property
    def _index(self) -> LexicalIndex:
        return index_passages(self._knowledge.passages, self._terms)

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Retrieved, ...]]:
        """Return up to `k` passages for each query, best first."""
        vectors = encoded(self._knowledge, queries)

        def score(rows: slice, allowed: Allowed) -> Scores:
            dense = cosine(vectors[rows], self._knowledge.vectors)
            lexical = self._index.scores([query.text for query in queries[rows]])
            if self._mode == "blend":
                return blended(dense, lexical, self._share, allowed)
            dense = np.where(allowed, dense, -np.inf)
            lexical = np.where(allowed & (lexical > 0), lexical, -np.inf)
            if self._mode == "rrf":
                return reciprocal_ranks(dense, lexical, self._share, self._depth)
            return among_best(dense, lexical, self._depth)

        return self._search(queries, score)
