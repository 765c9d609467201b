"""Passages and their vectors on disk: one Chroma collection in a folder.

Chroma keeps what it is given and embeds nothing itself. Its defaults that lose or spoil data in silence are
closed off here: the space is cosine and checked at every opening, the embedder's fingerprint stands in the collection,
every row has the same metadata keys (an upsert merges metadata, so a key left out would survive a replacement), and
rows are written 512 at a time (many times as fast as one by one; a batch above about 5,000 is refused).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from kd_rag.types import InputError, Passage

ROWS_AT_ONCE = 512
_NAME = "passages"
_SPACE = "cosine"


@dataclass(frozen=True)
class PassageCollection:
    """An open collection; `client` and `rows` are Chroma's client and collection."""

    path: Path
    client: Any
    rows: Any

    @classmethod
    def open(cls, path: Path) -> PassageCollection:
        """Open the collection in `path`; raise InputError when there is none or it is not one of ours."""
        from chromadb.errors import NotFoundError

        absent = f"{path}: there is no knowledge base; make one with: python -m kb_builder ingest SOURCE"
        if not (path / "chroma.sqlite3").is_file():
            raise InputError(f"{absent} knowledge.path={path}")
        client = _connect(path)
        try:
            rows = client.get_collection(_NAME, embedding_function=None)
        except NotFoundError:
            client.close()
            raise InputError(f"{absent} knowledge.path={path}") from None
        space = rows.configuration_json["hnsw"]["space"]
        if space != _SPACE or "fingerprint" not in (rows.metadata or {}):
            client.close()
            raise InputError(f"{path}: is a Chroma store that kb_builder did not make; choose another knowledge.path")
        return cls(path, client, rows)

    @classmethod
    def create_or_open(cls, path: Path, fingerprint: str) -> PassageCollection:
        """Open the collection in `path`, or make an empty one for the vectors that `fingerprint` describes."""
        from chromadb.errors import NotFoundError

        client = _connect(path)
        try:
            client.get_collection(_NAME, embedding_function=None)
        except NotFoundError:
            client.create_collection(
                _NAME,
                embedding_function=None,
                configuration={"hnsw": {"space": _SPACE}},
                metadata={"fingerprint": fingerprint},
            )
        client.close()
        return cls.open(path)

    @property
    def fingerprint(self) -> str:
        """Which embedder made the vectors, in its own words."""
        return str(self.rows.metadata["fingerprint"])

    def check(self, fingerprint: str) -> None:
        """Raise InputError when the vectors are another embedder's."""
        if fingerprint != self.fingerprint:
            raise InputError(
                f"{self.path}: its vectors were made by {self.fingerprint}, but knowledge.embedder is {fingerprint}; "
                "name the former there, or ingest into another knowledge.path"
            )

    def hashes(self) -> dict[str, str]:
        """Return `{passage id: content hash}`."""
        found = self.rows.get(include=["metadatas"])
        return {i: m["hash"] for i, m in zip(found["ids"], found["metadatas"], strict=True)}

    def kinds(self) -> Counter[str]:
        """Return how many passages of each kind there are."""
        return Counter(m["kind"] for m in self.rows.get(include=["metadatas"])["metadatas"])

    def write(self, passages: Sequence[Passage], vectors: Float32[np.ndarray, "passages dim"]) -> None:
        """Store at most ROWS_AT_ONCE passages; one with a known id is replaced as a whole."""
        self.rows.upsert(
            ids=[p.id for p in passages],
            embeddings=vectors,
            documents=[p.text for p in passages],
            metadatas=[
                {"kind": p.kind, "title": p.title, "metadata": _json(p.metadata), "hash": content_hash(p)}
                for p in passages
            ],
        )

    def read(self) -> tuple[tuple[Passage, ...], Float32[np.ndarray, "passages dim"]]:
        """Return all passages, sorted by id, and their vectors."""
        from chromadb.errors import ChromaError

        try:
            found = self.rows.get(include=["documents", "metadatas", "embeddings"])
        except ChromaError as error:
            raise InputError(
                f"{self.path}: the knowledge base is damaged ({error}); delete the folder and ingest again"
            ) from None
        passages = [
            Passage(i, row["kind"], row["title"], text, json.loads(row["metadata"]))
            for i, row, text in zip(found["ids"], found["metadatas"], found["documents"], strict=True)
        ]
        order = sorted(range(len(passages)), key=lambda i: passages[i].id)
        return tuple(passages[i] for i in order), np.asarray(found["embeddings"], np.float32)[order]

    def close(self) -> None:
        """Let go of the files."""
        self.client.close()


def content_hash(passage: Passage) -> str:
    """Return a digest of everything that a passage says, its id left out."""
    content = [passage.kind, passage.title, passage.text, passage.metadata]
    return hashlib.sha256(_json(content).encode()).hexdigest()[:32]


def snapshot_id(fingerprint: str, hashes: Mapping[str, str]) -> str:
    """Return a digest of an embedder and of `{passage id: content hash}`; the order of ingestion does not matter."""
    return hashlib.sha256(_json([fingerprint, sorted(hashes.items())]).encode()).hexdigest()[:16]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)


def _connect(path: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))
