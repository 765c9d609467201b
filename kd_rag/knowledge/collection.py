"""The Chroma index of a knowledge base: a collection in a folder of its own, or on a server.

In: passages and vectors that are already safe in our own files. Out: a collection that any Chroma client can search,
and that is made again from those files whenever it is in doubt. Chroma embeds nothing itself, and its defaults that
lose or spoil data in silence are closed off: the space is cosine and checked at every opening, the embedder's
fingerprint stands in the collection, every row has the same metadata keys (an upsert merges metadata, so a key
left out would survive a replacement), and rows are written 512 at a time (a batch above about 5,000 is refused).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from kd_rag.knowledge.chroma import OWNER, answering, check_owner, connect, opened
from kd_rag.knowledge.content import as_json, content_hash
from kd_rag.knowledge.manifest import Manifest
from kd_rag.types import InputError, Passage

ROWS_AT_ONCE = 512
_SPACE = "cosine"
_ROWS_A_PAGE = 5000
_UNFINISHED = "unfinished"
"""The snapshot that an index claims while it is being changed."""


@dataclass(frozen=True)
class PassageIndex:
    """An open collection; `client` and `rows` are Chroma's client and collection."""

    place: str
    client: Any
    rows: Any

    @classmethod
    def open(cls, place: str) -> PassageIndex:
        """Open the index at `place`, a folder or `http://HOST:PORT[/COLLECTION]`.

        Raises InputError when there is none, it is not one of ours, or the server does not answer.
        """
        from chromadb.errors import NotFoundError

        absent = f"{place}: there is no index; make it with: python -m kb_builder rebuild"
        if "://" not in place and not (Path(place) / "chroma.sqlite3").is_file():
            raise InputError(absent)
        with answering(place):
            client, name = connect(place)
            try:
                rows = client.get_collection(name, embedding_function=None)
            except NotFoundError:
                client.close()
                raise InputError(absent) from None
        if rows.configuration_json["hnsw"]["space"] != _SPACE or "fingerprint" not in (rows.metadata or {}):
            client.close()
            raise InputError(f"{place}: holds a collection {name!r} that kb_builder did not make; name another one")
        return cls(place, client, rows)

    @classmethod
    def open_or_create(cls, place: str, manifest: Manifest) -> PassageIndex:
        """Open the index of `manifest` at `place`, or make an empty one; raise InputError when it is another's."""
        from chromadb.errors import NotFoundError

        with answering(place), opened(place) as (client, name):
            try:
                check_owner(place, client.get_collection(name, embedding_function=None), manifest.identity)
            except NotFoundError:
                client.create_collection(
                    name,
                    embedding_function=None,
                    configuration={"hnsw": {"space": _SPACE}},
                    metadata={
                        "fingerprint": manifest.embedder,
                        "chunker": manifest.chunker,
                        "snapshot": _UNFINISHED,
                        OWNER: manifest.identity,
                    },
                )
        index = cls.open(place)
        if (index.fingerprint, index.chunker) != (manifest.embedder, manifest.chunker):
            index.close()
            raise InputError(
                f"{place}: holds vectors of {index.fingerprint} ({index.chunker}), not of {manifest.embedder} "
                f"({manifest.chunker}); name another collection"
            )
        return index

    @property
    def fingerprint(self) -> str:
        """Which embedder made the vectors, in its own words."""
        return str(self.rows.metadata["fingerprint"])

    @property
    def chunker(self) -> str:
        """How long passages were cut, in words."""
        return str(self.rows.metadata["chunker"])

    @property
    def snapshot(self) -> str:
        """Which state of the knowledge base the index holds."""
        return str(self.rows.metadata["snapshot"])

    def hashes(self) -> dict[str, str]:
        """Return `{passage id: content hash}`; the hash is empty where a row is not one of ours."""
        return {
            i: str((row or {}).get("hash", ""))
            for page in self._pages(["metadatas"])
            for i, row in zip(page["ids"], page["metadatas"], strict=True)
        }

    def read(self) -> tuple[list[Passage], Float32[np.ndarray, "passages dim"]]:
        """Return all passages, sorted by id, and their vectors; rows that are not ours are left out."""
        found = sorted(
            (
                (Passage(i, row["kind"], row["title"], text, json.loads(row["metadata"])), vector)
                for page in self._pages(["documents", "metadatas", "embeddings"])
                for i, row, text, vector in zip(
                    page["ids"], page["metadatas"], page["documents"], page["embeddings"], strict=True
                )
                if row and "hash" in row
            ),
            key=lambda pair: pair[0].id,
        )
        vectors = np.array([vector for _, vector in found] or np.empty((0, 0)), np.float32)
        return [passage for passage, _ in found], vectors

    def update(self, manifest: Manifest) -> None:
        """Make the index hold the state of `manifest` and nothing else; what it has already is not written again."""
        passages, vectors = manifest.passages(), manifest.vectors()
        self._claim(_UNFINISHED)
        there, wanted = self.hashes(), {p.id: content_hash(p) for p in passages}
        gone = [i for i in there if i not in wanted]
        for start in range(0, len(gone), ROWS_AT_ONCE):
            self.rows.delete(ids=gone[start : start + ROWS_AT_ONCE])
        rows = [row for row, p in enumerate(passages) if there.get(p.id) != wanted[p.id]]
        with tqdm(total=len(rows), desc="Indexing passages", unit="passage", delay=1, leave=False) as bar:
            for start in range(0, len(rows), ROWS_AT_ONCE):
                window = rows[start : start + ROWS_AT_ONCE]
                self.write([passages[row] for row in window], vectors[window])
                bar.update(len(window))
        self._claim(str(manifest.snapshot))

    def write(self, passages: Sequence[Passage], vectors: Float32[np.ndarray, "passages dim"]) -> None:
        """Store at most ROWS_AT_ONCE passages; one with a known id is replaced as a whole."""
        self.rows.upsert(
            ids=[p.id for p in passages],
            embeddings=vectors,
            documents=[p.text for p in passages],
            metadatas=[
                {"kind": p.kind, "title": p.title, "metadata": as_json(p.metadata), "hash": content_hash(p)}
                for p in passages
            ],
        )

    def close(self) -> None:
        """Let go of the files or the connection."""
        self.client.close()

    def _claim(self, snapshot: str) -> None:
        self.rows.modify(metadata={**self.rows.metadata, "snapshot": snapshot})

    def _pages(self, include: list[str]) -> Iterator[Any]:
        """Yield all rows; a server does not hand out 100,000 in one answer."""
        for offset in range(0, self.rows.count(), _ROWS_A_PAGE):
            yield self.rows.get(limit=_ROWS_A_PAGE, offset=offset, include=include)


def update_index(place: str, manifest: Manifest) -> None:
    """Bring the index at `place` to the state of `manifest`; raise InputError when it cannot be written."""
    with closing(PassageIndex.open_or_create(place, manifest)) as index, answering(place):
        if index.snapshot != manifest.snapshot:
            index.update(manifest)
