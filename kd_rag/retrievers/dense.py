"""Dense retrieval: the passages whose vectors are nearest to the query's (Karpukhin et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tqdm import tqdm

from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.types import InputError, Retrieved


class Dense:
    """The `k` passages of highest cosine similarity, encoded by the knowledge base's own embedder."""

    def __init__(self, open_knowledge: Callable[[], KnowledgeBase], *, k: int = 3) -> None:
        if k < 1:
            raise InputError(f"retriever.k={k}: must be at least 1; retriever.name=none retrieves nothing")
        self._knowledge = open_knowledge()
        self._k = k
        self.snapshot = self._knowledge.snapshot

    def retrieve(self, queries: Sequence[str]) -> list[tuple[Retrieved, ...]]:
        """Return up to `k` passages for each query, best first."""
        with tqdm(total=len(queries), desc="Encoding queries", unit="query", delay=1) as bar:
            vectors = self._knowledge.embedder.encode_queries(queries, bar.update)
        return [tuple(found) for found in self._knowledge.query(vectors, self._k)]
