"""Dense retrieval: the passages whose vectors are nearest to the query's (Karpukhin et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.retrievers._scores import cosine, encoded
from kd_rag.retrievers._search import Search
from kd_rag.retrievers._selection import DEFAULT_K, Selection
from kd_rag.types import Query, Retrieved


class Dense:
    """The `k` passages of highest cosine similarity, encoded by the knowledge base's own embedder."""

    def __init__(
        self, open_knowledge: Callable[[], KnowledgeBase], *, k: int = DEFAULT_K, selection: Selection = Selection()
    ) -> None:
        self._knowledge = open_knowledge()
        self._search = Search(self._knowledge, k, selection)
        self.snapshot = self._knowledge.snapshot

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Retrieved, ...]]:
        """Return up to `k` passages for each query, best first."""
        vectors = encoded(self._knowledge, queries)
        return self._search(queries, lambda rows, _: cosine(vectors[rows], self._knowledge.vectors))
