"""Lexical retrieval: the passages that share rare words with the query (BM25, Robertson et al. 1994)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.retrievers._lexical import LexicalIndex, TermWeights, index_passages
from kd_rag.retrievers._search import Allowed, Scores, Search
from kd_rag.retrievers._selection import DEFAULT_K, Selection
from kd_rag.types import Query, Retrieved


class Bm25:
    """The `k` passages of highest BM25 score; one that shares no term with the query is never found."""

    def __init__(
        self,
        open_knowledge: Callable[[], KnowledgeBase],
        *,
        k: int = DEFAULT_K,
        terms: TermWeights = TermWeights(),
        selection: Selection = Selection(),
    ) -> None:
        self._knowledge = open_knowledge()
        self._search = Search(self._knowledge, k, selection)
        self._terms = terms
        self.snapshot = self._knowledge.snapshot

    @cached_property
    def _index(self) -> LexicalIndex:
        return index_passages(self._knowledge.passages, self._terms)

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Retrieved, ...]]:
        """Return up to `k` passages for each query, best first."""

        def score(rows: slice, _: Allowed) -> Scores:
            scores = self._index.scores([query.text for query in queries[rows]])
            return np.where(scores > 0, scores, -np.inf)

        return self._search(queries, score)
