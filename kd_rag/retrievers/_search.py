"""From scores to passages: what all members do alike once they have scored the knowledge base.

In: queries, and a function that scores every passage for some of them. Out: passages, best first. A score of -inf means
that a passage was not found. Search is exact, so the answer depends on the knowledge base and the options alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int

from kd_rag.knowledge.content import passage_text
from kd_rag.knowledge.reranker import Reranker, load_reranker
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.retrievers._leak_guard import LeakGuard
from kd_rag.retrievers._selection import Selection, diverse
from kd_rag.types import Query, Retrieved

Allowed = Bool[np.ndarray, "queries passages"]
Scores = Float64[np.ndarray, "queries passages"]
ScoreRows = Callable[[slice, Allowed], Scores]
"""`score(rows, allowed)` scores all passages for the queries in `rows`; what is not allowed may score anything."""

_QUERIES_AT_ONCE = 64
"""Bounds the score matrix: 51 MB for 100,000 passages."""


class Search:
    """Takes the `k` best passages that the leak guard and the `selection` let through.

    A query without text finds nothing, unless `by_picture`.
    """

    def __init__(self, knowledge: KnowledgeBase, k: int, selection: Selection, *, by_picture: bool = False) -> None:
        self._knowledge = knowledge
        self._k = k
        self._by_picture = by_picture
        self._selection = selection
        self._depth = selection.depth(k)
        self._searched = selection.searched(knowledge.passages)
        self._reranker: Reranker | None = load_reranker(selection.reranker) if selection.reranker else None

    @cached_property
    def _guard(self) -> LeakGuard:
        return LeakGuard(self._knowledge.passages)

    def __call__(self, queries: Sequence[Query], score: ScoreRows) -> list[tuple[Retrieved, ...]]:
        """Return the passages of each query, best first and by id among equals."""
        found: list[tuple[Retrieved, ...]] = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            rows = slice(start, start + _QUERIES_AT_ONCE)
            found += self._some(queries[rows], score, rows)
        return found

    def _some(self, queries: Sequence[Query], score: ScoreRows, rows: slice) -> list[tuple[Retrieved, ...]]:
        allowed = np.tile(self._searched, (len(queries), 1))
        for row, query in zip(allowed, queries, strict=True):
            row[self._guard.forbidden(query)] = False
            row &= self._by_picture or bool(query.text.strip())
        scores = np.where(allowed, score(rows, allowed), -np.inf)
        if self._selection.min_score is not None:
            scores[scores < self._selection.min_score] = -np.inf
        best = [best_first(row, self._depth) for row in scores]
        values = [row[columns] for row, columns in zip(scores, best, strict=True)]
        if self._reranker is not None:
            best, values = self._reranked(self._reranker, queries, best)
        return [self._chosen(*found) for found in zip(best, values, scores, strict=True)]

    def _reranked(
        self, reranker: Reranker, queries: Sequence[Query], best: list[Int[np.ndarray, " candidates"]]
    ) -> tuple[list[Int[np.ndarray, " candidates"]], list[Float64[np.ndarray, " candidates"]]]:
        """Order each query's candidates by the cross-encoder; all pairs are read in one go."""
        texts = [passage_text(p) for p in self._knowledge.passages]
        pairs = [(q.text, texts[i]) for q, columns in zip(queries, best, strict=True) for i in columns]
        ends = np.cumsum([len(columns) for columns in best])[:-1]
        scores = np.split(reranker.score(pairs), ends)
        orders = [np.argsort(-s, kind="stable") for s in scores]
        return [c[o] for c, o in zip(best, orders, strict=True)], [s[o] for s, o in zip(scores, orders, strict=True)]

    def _chosen(
        self,
        columns: Int[np.ndarray, " candidates"],
        values: Float64[np.ndarray, " candidates"],
        own: Float64[np.ndarray, " passages"],
    ) -> tuple[Retrieved, ...]:
        picked: Sequence[int] = range(min(self._k, len(columns)))
        if self._selection.diversity > 0 and len(columns):
            picked = diverse(values, self._knowledge.vectors[columns], self._k, self._selection.diversity)
        passages = self._knowledge.passages
        before = {c: None if self._reranker is None else float(own[c]) for c in columns}
        return tuple(Retrieved(passages[columns[i]], float(values[i]), before[columns[i]]) for i in picked)


def best_first(scores: Float64[np.ndarray, " passages"], depth: int) -> Int[np.ndarray, " found"]:
    """Return the positions of the `depth` largest finite scores, largest first; the first of equals comes first."""
    if depth < len(scores):
        floor = np.partition(scores, -depth)[-depth]
        rows = np.flatnonzero((scores >= floor) & (scores > -np.inf))
    else:
        rows = np.flatnonzero(scores > -np.inf)
    return rows[np.argsort(-scores[rows], kind="stable")][:depth]
