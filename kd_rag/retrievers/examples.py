"""Labelled neighbours: past records that resemble the query; the prompt shows each with its label (kNN prompting)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from kd_rag.knowledge.content import LABEL_KEY
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.retrievers._scores import cosine, encoded
from kd_rag.retrievers._search import Search
from kd_rag.retrievers._selection import DEFAULT_K, Selection
from kd_rag.types import InputError, Query, Retrieved


class Examples:
    """The `k` nearest passages of kind `example`, at most `per_label` of one label (null: any number).

    A limit keeps rarer labels in sight: `selection.candidates` of the nearest are looked through for them.
    """

    def __init__(
        self,
        open_knowledge: Callable[[], KnowledgeBase],
        *,
        k: int = DEFAULT_K,
        per_label: int | None = None,
        selection: Selection = Selection(),
    ) -> None:
        if per_label is not None and per_label < 1:
            raise InputError(f"retriever.per_label={per_label}: must be at least 1, or null")
        self._knowledge = open_knowledge()
        depth = k if per_label is None else max(k, selection.candidates)
        self._search = Search(self._knowledge, depth, replace(selection, kinds=["example"]))
        self._k, self._per_label = k, per_label
        self.snapshot = self._knowledge.snapshot

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Retrieved, ...]]:
        """Return up to `k` examples for each query, nearest first."""
        vectors = encoded(self._knowledge, queries)
        found = self._search(queries, lambda rows, _: cosine(vectors[rows], self._knowledge.vectors))
        return [tuple(islice(self._limited(passages), self._k)) for passages in found]

    def _limited(self, found: Sequence[Retrieved]) -> Iterator[Retrieved]:
        taken: Counter[str] = Counter()
        for retrieved in found:
            label = str(retrieved.passage.metadata.get(LABEL_KEY))
            taken[label] += 1
            if self._per_label is None or taken[label] <= self._per_label:
                yield retrieved
