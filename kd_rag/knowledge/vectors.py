"""Vectors by the text that they stand for: append-only files that are memory-mapped and never changed.

In: SHA-256 of a text, and its float32 vector. Out: the same numbers, bit for bit. Every append makes one .npy file of
(key, vector) rows, a shard, which is flushed to disk before it gets its name; the name is the digest of its content, so
that damage shows. A vector that was paid for is never computed again: a killed ingestion loses one append at most, and
a passage that was removed and comes back costs nothing. All vectors of a folder are one embedder's.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from kd_rag.durable import file_digest, remove_partial, write_whole
from kd_rag.types import InputError

REPAIR = "python -m kb_builder verify --repair"


class VectorShards:
    """The vectors in `folder`, made if need be; raises InputError naming a shard that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place: dict[bytes, tuple[np.ndarray[Any, Any], int]] = {}
        folder.mkdir(exist_ok=True)
        remove_partial(folder)
        for file in sorted(folder.glob("*.npy")):
            self._map(file)

    def __contains__(self, key: bytes) -> bool:
        return key in self._place

    def append(self, keys: Sequence[bytes], vectors: Float32[np.ndarray, "keys dim"]) -> None:
        """Add vectors of new texts; they are on disk when this returns. Raises InputError when they cannot be."""
        rows = np.empty(len(keys), [("key", "V32"), ("vector", "<f4", vectors.shape[1:])])
        rows["key"], rows["vector"] = [np.void(key) for key in keys], vectors
        buffer = io.BytesIO()
        np.save(buffer, rows)
        content = buffer.getvalue()
        file = self._folder / f"{hashlib.sha256(content).hexdigest()}.npy"
        write_whole(file, [content])
        self._map(file)

    def gather(self, keys: Sequence[bytes], dimension: int) -> Float32[np.ndarray, "keys dim"]:
        """Return the vectors of `keys`, all of them there, in this order."""
        vectors = np.empty((len(keys), dimension), np.float32)
        for row, key in enumerate(keys):
            shard, number = self._place[key]
            vectors[row] = shard["vector"][number]
        return vectors

    def _map(self, file: Path) -> None:
        try:
            shard = np.load(file, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{file}: is damaged ({error}); repair with: {REPAIR}") from None
        for number, key in enumerate(shard["key"]):
            self._place.setdefault(key.tobytes(), (shard, number))


def damaged_shards(folder: Path) -> list[Path]:
    """Return the shards whose content is not what their name says."""
    return [file for file in sorted(folder.glob("*.npy")) if file_digest(file) != file.stem]
