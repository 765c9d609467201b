"""The knowledge base: passages in, the nearest passages of a query out.

`add_passages` fills the store on disk. `KnowledgeBase` reads all of it once and searches exactly, by one matrix
product. Chroma's approximate index (HNSW) draws its graph at random: two stores of the same 500 passages disagreed on
6 of 500 queries, so that no run could be repeated to the last digit. The answers of exact search depend on the snapshot
alone, and up to several thousand passages it is the faster of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from kd_rag.knowledge.collection import ROWS_AT_ONCE, PassageCollection, content_hash, snapshot_id
from kd_rag.knowledge.embedder import Embedder, passage_text
from kd_rag.knowledge.lock import sole_writer
from kd_rag.types import InputError, Passage, Retrieved

_QUERIES_AT_ONCE = 64
"""Bounds the score matrix: 51 MB for 100,000 passages."""
_SCORE_DIGITS = 6
"""Equal passages must score equal, but a matrix product rounds by position: digits behind these are noise."""


@dataclass(frozen=True)
class Changes:
    """What one ingestion did, and the snapshot that it left."""

    added: int
    replaced: int
    unchanged: int
    total: int
    snapshot: str


@dataclass(frozen=True, eq=False)
class KnowledgeBase:
    """All passages, sorted by id, with their vectors; a value that later ingestions do not change."""

    embedder: Embedder
    passages: tuple[Passage, ...]
    vectors: Float32[np.ndarray, "passages dim"]
    snapshot: str

    @classmethod
    def open(cls, path: Path, embedder: Embedder) -> KnowledgeBase:
        """Read the knowledge base in `path`; raise InputError when it is not there, empty, or another embedder's."""
        with closing(PassageCollection.open(path)) as collection:
            collection.check(embedder.fingerprint)
            passages, vectors = collection.read()
        if not passages:
            raise InputError(f"{path}: the knowledge base is empty; fill it with: python -m kb_builder ingest SOURCE")
        snapshot = snapshot_id(embedder.fingerprint, {p.id: content_hash(p) for p in passages})
        return cls(embedder, passages, vectors, snapshot)

    def query(self, vectors: Float32[np.ndarray, "queries dim"], k: int) -> list[list[Retrieved]]:
        """Return the `k` nearest passages of each query, best first by cosine similarity and then by id."""
        found: list[list[Retrieved]] = []
        for start in range(0, len(vectors), _QUERIES_AT_ONCE):
            found += self._nearest(vectors[start : start + _QUERIES_AT_ONCE], min(k, len(self.passages)))
        return found

    def _nearest(self, vectors: Float32[np.ndarray, "queries dim"], k: int) -> list[list[Retrieved]]:
        scores = (vectors @ self.vectors.T).astype(np.float64).round(_SCORE_DIGITS)
        found: list[list[Retrieved]] = [[] for _ in scores]
        for _ in range(k):
            best = scores.argmax(axis=1)  # the first of equals, and passages are sorted by id
            for row, (column, passages) in enumerate(zip(best, found, strict=True)):
                passages.append(Retrieved(self.passages[column], float(scores[row, column])))
            scores[np.arange(len(scores)), best] = -np.inf
        return found


def add_passages(path: Path, embedder: Embedder, passages: Sequence[Passage]) -> Changes:
    """Store `passages`, whose ids differ, in `path`; what is there with the same content is not encoded again.

    Whatever is written stays written: a run that was killed is finished by running it again. Raises InputError when
    another process is writing, or another embedder made the vectors that are there.
    """
    assert len({p.id for p in passages}) == len(passages), "ids differ"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"knowledge.path={path}: the folder cannot be made ({error.strerror})") from None
    with sole_writer(path), closing(PassageCollection.create_or_open(path, embedder.fingerprint)) as collection:
        collection.check(embedder.fingerprint)
        return _write_changed(collection, embedder, passages)


def _write_changed(collection: PassageCollection, embedder: Embedder, passages: Sequence[Passage]) -> Changes:
    known = collection.hashes()
    changed = [p for p in passages if known.get(p.id) != content_hash(p)]
    # Like lengths share a batch, and equal texts meet in one; longest first, so that the time left is not understated.
    changed.sort(key=lambda p: (-len(passage_text(p)), passage_text(p), p.id))
    with tqdm(total=len(changed), desc="Encoding passages", unit="passage", disable=not changed) as bar:
        for start in range(0, len(changed), ROWS_AT_ONCE):
            window = changed[start : start + ROWS_AT_ONCE]
            collection.write(window, embedder.encode_passages(window, bar.update))
    replaced = sum(p.id in known for p in changed)
    return Changes(
        added=len(changed) - replaced,
        replaced=replaced,
        unchanged=len(passages) - len(changed),
        total=len(known) + len(changed) - replaced,
        snapshot=snapshot_id(embedder.fingerprint, collection.hashes()),
    )
