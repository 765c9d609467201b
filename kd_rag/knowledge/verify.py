"""Is the knowledge base what its manifest says, and does its Chroma index find what it holds?

In: the folder. Out: faults, one sentence each; none means sound. Our own files are compared with their digests; the
index is asked by a program of its own under a time limit (probe.py), because `count()` is no health check: with its
graph deleted, Chroma counts every row and finds none. `repair` makes everything that can be derived again.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from kd_rag.durable import file_digest
from kd_rag.knowledge.chroma import index_place
from kd_rag.knowledge.collection import remove_index, update_index
from kd_rag.knowledge.content import passage_text, snapshot_id, text_key
from kd_rag.knowledge.lock import sole_writer
from kd_rag.knowledge.manifest import Manifest
from kd_rag.knowledge.vectors import VectorShards, damaged_shards
from kd_rag.types import InputError

SHARDS = "vectors"


def find_faults(folder: Path, url: str | None = None, limit_seconds: float = 300) -> list[str]:
    """Return every fault of the knowledge base in `folder` and of its index, which may take `limit_seconds` to answer.

    Nothing is changed. Raises InputError when there is no knowledge base, or another process is writing.
    """
    with sole_writer(folder):
        manifest = Manifest.read(folder)
        if manifest.snapshot is None:
            return [f"{folder}: no ingestion has run to its end; run it again"]
        faults = _own_faults(manifest)
        return faults or _index_faults(folder, index_place(folder, url), limit_seconds)


def _own_faults(manifest: Manifest) -> list[str]:
    shards = damaged_shards(manifest.folder / SHARDS)
    faults = [f"{file}: its content is not what its name says" for file in shards]
    for name, digest in manifest.files.items():
        if file_digest(manifest.folder / name) != digest:
            faults.append(f"{manifest.folder / name}: is damaged or missing")
    if faults:
        return faults
    passages, vectors = manifest.passages(), manifest.vectors()
    kept = VectorShards(manifest.folder / SHARDS)
    keys = [text_key(passage_text(p)) for p in passages]
    if lost := sum(key not in kept for key in keys):
        faults.append(f"{manifest.folder / SHARDS}: lacks the vectors of {lost} of {len(keys)} passages")
    elif not np.array_equal(kept.gather(keys, manifest.dimension), vectors):
        faults.append(f"{manifest.folder}: the vectors of the state are not those kept for its texts")
    if manifest.snapshot != (found := snapshot_id(manifest.embedder, manifest.chunker, passages)):
        faults.append(f"{manifest.folder}: the passages give snapshot {found}, the manifest says {manifest.snapshot}")
    return faults


def _index_faults(folder: Path, place: str, limit_seconds: float) -> list[str]:
    command = [sys.executable, "-m", "kd_rag.knowledge.probe", str(folder), place]
    try:
        probe = subprocess.run(command, capture_output=True, text=True, timeout=limit_seconds, check=False)
    except subprocess.TimeoutExpired:
        return [f"{place}: does not answer within {limit_seconds:g} seconds"]
    if probe.returncode < 0:
        return [f"{place}: ends the process that opens it ({signal.Signals(-probe.returncode).name})"]
    assert probe.returncode == 0, probe.stderr
    faults: list[str] = json.loads(probe.stdout)
    return faults


def repair(folder: Path, url: str | None = None) -> None:
    """Make everything that is derived again, without encoding: damaged files from sound ones, and the index.

    Raises InputError when the passages themselves are damaged, or vectors are that have no second copy.
    """
    with sole_writer(folder):
        manifest = Manifest.read(folder)
        if manifest.snapshot is None:
            raise InputError(f"{folder}: no ingestion has run to its end; run it again")
        for file in damaged_shards(folder / SHARDS):
            file.unlink()
        shards = VectorShards(folder / SHARDS)
        passages = manifest.passages()
        keys = [text_key(passage_text(p)) for p in passages]
        lost = [row for row, key in enumerate(keys) if key not in shards]
        if lost:
            shards.append([keys[row] for row in lost], manifest.vectors()[lost])
        manifest = manifest.commit(passages, shards)
        _rebuild(index_place(folder, url), manifest)


def rebuild(folder: Path, url: str | None = None) -> Manifest:
    """Make the index again from the passages and vectors that are kept; return the manifest of what it holds.

    Raises InputError when those are damaged, or the index cannot be written.
    """
    with sole_writer(folder):
        manifest = Manifest.read(folder)
        if manifest.snapshot is None:
            raise InputError(f"{folder}: no ingestion has run to its end; run it again")
        _rebuild(index_place(folder, url), manifest)
        return manifest


def _rebuild(place: str, manifest: Manifest) -> None:
    remove_index(place)
    update_index(place, manifest)
