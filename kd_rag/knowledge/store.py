"""The knowledge base: passages in, the same passages and their vectors out.

`add_passages` fills it; `KnowledgeBase` maps its vectors, which `retrievers` search exactly, by one matrix product.
Chroma's approximate index (HNSW) draws its graph at random: two stores of the same 500 passages disagreed on 6 of 500
queries, so that no run could be repeated to the last digit. The answers of exact search depend on the snapshot alone,
and up to several thousand passages it is the faster of the two.

    manifest.json       the embedder, and which two files are the state        (manifest.py)
    passages-ID.jsonl   the passages, sorted by id
    vectors-ID.npy      their vectors in the same order
    vectors/            every vector that was ever computed, by its text       (vectors.py)
    chroma/             an index for other programs, made from the above       (collection.py)
    writer.lock         names the process that is writing                      (lock.py)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from kd_rag.knowledge.chroma import answering, index_place
from kd_rag.knowledge.collection import PassageIndex, update_index
from kd_rag.knowledge.content import PIECE_OF, content_hash, snapshot_id
from kd_rag.knowledge.embedder import Embedder
from kd_rag.knowledge.encoding import Encode, encode_here, encode_missing
from kd_rag.knowledge.lock import sole_writer
from kd_rag.knowledge.manifest import Manifest
from kd_rag.knowledge.verify import sound_shards
from kd_rag.types import InputError, Passage

WHOLE = "whole passages"
"""The chunker that cuts nothing."""


@dataclass(frozen=True)
class Changes:
    """What one ingestion did, and the snapshot that it left; counts are passages, `encoded` counts texts."""

    added: int
    replaced: int
    removed: int
    unchanged: int
    total: int
    encoded: int
    snapshot: str


@dataclass(frozen=True, eq=False)
class KnowledgeBase:
    """All passages, sorted by id, with their vectors; a value that later ingestions do not change.

    `vectors` are of length one and read-only, and may be mapped from a file; `snapshot` names the state.
    """

    embedder: Embedder
    passages: tuple[Passage, ...]
    vectors: Float32[np.ndarray, "passages dim"]
    snapshot: str

    @classmethod
    def open(cls, path: Path, embedder: Embedder) -> KnowledgeBase:
        """Open the state that the last whole ingestion left in `path`.

        Raises InputError when it is not there, empty, damaged, or another embedder's.
        """
        manifest = Manifest.read(path)
        manifest.check_embedder(embedder.fingerprint)
        if not manifest.total or manifest.snapshot is None:
            what = "empty" if manifest.snapshot else "not finished: its ingestion was interrupted"
            raise InputError(f"{path}: the knowledge base is {what}; run: python -m kb_builder ingest SOURCE")
        return cls(embedder, manifest.passages(), manifest.vectors(), manifest.snapshot)

    @classmethod
    def fetch(cls, url: str, embedder: Embedder) -> KnowledgeBase:
        """Read the knowledge base from the Chroma server at `url` (`http://HOST:PORT[/COLLECTION]`).

        Raises InputError when the server does not answer, or what it holds is empty, unfinished or another embedder's.
        """
        with answering(url), closing(PassageIndex.open(url)) as index:
            passages, vectors = index.read()
        if index.fingerprint != embedder.fingerprint:
            raise InputError(
                f"{url}: its vectors were made by {index.fingerprint}, but knowledge.embedder is {embedder.fingerprint}"
            )
        if not passages or index.snapshot != snapshot_id(index.fingerprint, index.chunker, passages):
            raise InputError(f"{url}: the collection is empty or half written; run the ingestion again to its end")
        return cls(embedder, tuple(passages), vectors, index.snapshot)


def add_passages(
    path: Path,
    embedder: Embedder,
    passages: Sequence[Passage],
    *,
    chunker: str = WHOLE,
    prune: bool = False,
    made_ids: Mapping[str, list[str]] | None = None,
    url: str | None = None,
    encode: Encode | None = None,
) -> Changes:
    """Make `passages`, whose ids differ, part of the knowledge base in `path`, and bring its index up to date.

    Only texts that were never encoded are. A passage with a known id replaces the old one, with all its pieces;
    `made_ids` names, by source, those passages whose ids were made from their content: what the same sources gave of
    that kind before, and no source gives now, goes. `prune` removes what `passages` do not name. Vectors are safe 512
    at a time and the state changes at the end at one stroke: a run that was killed is finished by running it again.
    `url` is that of the server that has the index, if one has; `encode` computes the vectors of `embedder` elsewhere
    than in this process, which stores them. Raises InputError when another process is writing, another embedder or
    chunker made what is there, a piece would have the id of another passage, or nothing can be written.
    """
    made_ids = made_ids or {}
    with sole_writer(path):
        manifest = Manifest.read_or_create(path, embedder.fingerprint, chunker, embedder.dimension)
        known = {p.id: p for p in manifest.passages()}
        made_now = {**({} if prune else manifest.made_ids), **made_ids}
        superseded = set(chain(*manifest.made_ids.values())) - set(chain(*made_now.values()))
        kept = {} if prune else dict(_kept(known, passages, superseded))
        _refuse_shared_ids(kept, passages)
        assert len({p.id for p in passages}) == len(passages), "ids differ"
        state = kept | {p.id: p for p in passages}
        before = {i: content_hash(p) for i, p in known.items()}
        changed = [p for p in passages if before.get(p.id) != content_hash(p)]
        encoded = 0
        manifest, was = replace(manifest, made_ids=made_now), manifest
        if changed or len(state) < len(known) or manifest.snapshot is None or manifest.damaged():
            shards = sound_shards(manifest, tuple(known.values()))
            encoded = encode_missing(shards, state.values(), encode or partial(encode_here, embedder))
            manifest = manifest.commit(list(state.values()), shards)
        elif manifest != was:
            manifest.write()
        assert manifest.snapshot is not None
        update_index(index_place(path, url), manifest)
    replaced = sum(p.id in known for p in changed)
    return Changes(
        added=len(changed) - replaced,
        replaced=replaced,
        removed=len(known.keys() - state.keys()),
        unchanged=len(passages) - len(changed),
        total=len(state),
        encoded=encoded,
        snapshot=manifest.snapshot,
    )


def _kept(
    known: dict[str, Passage], passages: Sequence[Passage], superseded: set[str]
) -> Iterator[tuple[str, Passage]]:
    """Yield what stays beside `passages`: all but former pieces of theirs, and what is superseded."""
    gone = {_whole(p) for p in passages} | superseded
    for identity, passage in known.items():
        if _whole(passage) not in gone:
            yield identity, passage


def _refuse_shared_ids(kept: dict[str, Passage], passages: Sequence[Passage]) -> None:
    """Raise InputError when a piece of one passage has the id of another, which would be lost."""
    owner = {identity: _whole(passage) for identity, passage in kept.items()}
    for passage in passages:
        if (other := owner.setdefault(passage.id, _whole(passage))) != _whole(passage):
            raise InputError(
                f"passage {passage.id!r}: a piece of the long passage {min(other, _whole(passage), key=len)!r} has the "
                "same id; rename one of the two"
            )


def _whole(passage: Passage) -> str:
    return str(passage.metadata.get(PIECE_OF, passage.id))
