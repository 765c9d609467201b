"""No retrieval: prompts without passages, the baseline that retrieval has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.types import Query, Retrieved


class NoRetriever:
    """Finds nothing, and never opens the knowledge base."""

    snapshot = "none"

    def __init__(self, open_knowledge: Callable[[], KnowledgeBase]) -> None:
        pass

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Retrieved, ...]]:
        """Return an empty tuple for each query."""
        return [() for _ in queries]
