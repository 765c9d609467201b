"""Picture to passages: what the customer photographed is looked up by its looks (CLIP, Radford et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from kd_rag.knowledge.picture_encoder import load_picture_encoder
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.retrievers._scores import cosine
from kd_rag.retrievers._search import Allowed, Scores, Search
from kd_rag.retrievers._selection import DEFAULT_K, Selection
from kd_rag.types import Query, Retrieved


class Image:
    """The `k` passages whose text is nearest to any of the query's pictures; none for a query without pictures.

    `model` is the folder or hub id of a sentence-transformers model that reads text and pictures. It encodes the
    passages anew in each process: `selection.kinds=[product]` keeps that short.
    """

    def __init__(
        self,
        open_knowledge: Callable[[], KnowledgeBase],
        *,
        model: str = "sentence-transformers/clip-ViT-B-32",
        k: int = DEFAULT_K,
        selection: Selection = Selection(),
    ) -> None:
        self._knowledge = open_knowledge()
        self._search = Search(self._knowledge, k, selection, by_picture=True)
        self._encoder = load_picture_encoder(model)
        self._columns = np.flatnonzero(selection.searched(self._knowledge.passages))
        self.snapshot = self._knowledge.snapshot

    @cached_property
    def _vectors(self) -> Float32[np.ndarray, "searched dim"]:
        return self._encoder.encode_passages([self._knowledge.passages[i] for i in self._columns])

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Retrieved, ...]]:
        """Return up to `k` passages for each query, best first."""
        pictures = self._encoder.encode_pictures([path for query in queries for path in query.pictures])
        ends = np.cumsum([len(query.pictures) for query in queries])

        def score(rows: slice, allowed: Allowed) -> Scores:
            scores = np.full(allowed.shape, -np.inf)
            for row, query, end in zip(scores, queries[rows], ends[rows], strict=True):
                if query.pictures:
                    own = pictures[end - len(query.pictures) : end]
                    row[self._columns] = cosine(own, self._vectors).max(axis=0)
            return scores

        return self._search(queries, score)
