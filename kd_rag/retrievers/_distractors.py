"""Passages that may stand in a training prompt beside the retrieved ones and help nothing.

In: queries, and what was retrieved for each. Out: the passages to draw from, and for each query the ids of those that
it may not have: what the leak guard keeps from it, what was retrieved, and other pieces of the same documents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from kd_rag.knowledge.content import PIECE_OF
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.retrievers._leak_guard import LeakGuard
from kd_rag.types import Passage, Query, Retrieved


def find_distractors(
    open_knowledge: Callable[[], KnowledgeBase],
    queries: Sequence[Query],
    found: Sequence[Sequence[Retrieved]],
) -> tuple[tuple[Passage, ...], list[frozenset[str]]]:
    """Return the passages of the kinds that occur in `found`, sorted by id, and the ids that each query may not have.

    The knowledge base is not opened when nothing was found.
    """
    kinds = {r.passage.kind for passages in found for r in passages}
    if not kinds:
        return (), [frozenset() for _ in queries]
    passages = open_knowledge().passages
    guard, pieces = LeakGuard(passages), defaultdict(set)
    for passage in passages:
        pieces[_whole(passage)].add(passage.id)
    barred = []
    for query, retrieved in zip(queries, found, strict=True):
        near = set().union(*(pieces[_whole(r.passage)] for r in retrieved))
        barred.append(frozenset(near | {passages[i].id for i in guard.forbidden(query)}))
    return tuple(p for p in passages if p.kind in kinds), barred


def _whole(passage: Passage) -> str:
    return str(passage.metadata.get(PIECE_OF, passage.id))
