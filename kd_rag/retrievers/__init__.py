"""Family: where the passages of a prompt come from. In: queries. Out: passages, best first.

A member is built with a function that opens the knowledge base, so that one which needs none opens none. Members only
score passages; filters, reranking, diversity and the leak guard (`_selection.py`, `_search.py`) are the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kd_rag.types import Query, Retrieved


class Retriever(Protocol):
    """What every member offers."""

    snapshot: str
    """Names the passages that are searched: the same snapshot gives the same answers."""

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Retrieved, ...]]:
        """Return the passages of each query, best first; an answer depends on no other query."""
