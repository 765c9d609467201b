"""Family: where the passages of a prompt come from. In: queries. Out: passages, best first.

A member is built with a function that opens the knowledge base, so that one which needs none opens none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kd_rag.types import Retrieved


class Retriever(Protocol):
    """What every member offers."""

    snapshot: str
    """Names the passages that are searched: the same snapshot gives the same answers."""

    def retrieve(self, queries: Sequence[str]) -> list[tuple[Retrieved, ...]]:
        """Return the passages of each query, best first."""
