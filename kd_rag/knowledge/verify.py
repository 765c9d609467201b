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
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from kd_rag.knowledge.chroma import answering, index_place, remove_index
from kd_rag.knowledge.collection import PassageIndex, update_index
from kd_rag.knowledge.content import passage_text, snapshot_id, text_key
from kd_rag.knowledge.lock import sole_writer
from kd_rag.knowledge.manifest import Manifest
from kd_rag.knowledge.vectors import VectorShards, damaged_shards
from kd_rag.types import InputError, Passage

SHARDS = "vectors"
_LEAST_SECONDS = 300
_PASSAGES_A_SECOND = 100
"""A busy machine reads so many of an index at least."""


@contextmanager
def _held(folder: Path) -> Iterator[Manifest]:
    """Keep writers out, and hand over the manifest of the last whole ingestion."""
    Manifest.read(folder)  # or the lock would make a folder where there is none
    with sole_writer(folder):
        manifest = Manifest.read(folder)
        if manifest.snapshot is None:
            raise InputError(f"{folder}: no ingestion has run to its end; run it again")
        yield manifest


def find_faults(folder: Path, url: str | None = None, limit_seconds: float | None = None) -> list[str]:
    """Return every fault of the knowledge base in `folder` and of its index, which may take `limit_seconds` to answer.

    None stands for five minutes and what so many passages need. Nothing is changed. Raises InputError when there is no
    knowledge base, or another process is writing.
    """
    with _held(folder) as manifest:
        limit_seconds = limit_seconds or _LEAST_SECONDS + manifest.total / _PASSAGES_A_SECOND
        faults = _own_faults(manifest)
        return faults or _index_faults(folder, index_place(folder, url), limit_seconds)


def _own_faults(manifest: Manifest) -> list[str]:
    shards = damaged_shards(manifest.folder / SHARDS)
    faults = [f"{file}: its content is not what its name says" for file in shards]
    faults += [f"{file}: is damaged or missing" for file in manifest.damaged()]
    if faults:
        return faults
    passages, vectors = manifest.passages(), manifest.vectors()
    kept = VectorShards(manifest.folder / SHARDS)
    keys = _keys(passages)
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
    if probe.returncode > 0:
        return [f"{place}: cannot be asked ({probe.stderr.strip().splitlines()[-1]})"]
    faults: list[str] = json.loads(probe.stdout)
    return faults


def sound_shards(manifest: Manifest, passages: Sequence[Passage]) -> VectorShards:
    """Delete damaged shards and return the others; what they lack of `passages` comes from the state's own file.

    `passages` are the state's; where both copies are damaged, vectors are missing.
    """
    for file in damaged_shards(manifest.folder / SHARDS):
        file.unlink()
    shards = VectorShards(manifest.folder / SHARDS)
    keys = _keys(passages)
    lost = [row for row, key in enumerate(keys) if key not in shards]
    if lost and manifest.vectors_file not in manifest.damaged():
        shards.append([keys[row] for row in lost], manifest.vectors()[lost])
    return shards


def _keys(passages: Sequence[Passage]) -> list[bytes]:
    return [text_key(passage_text(p)) for p in passages]


def repair(folder: Path, url: str | None = None) -> None:
    """Make everything that is derived again, without encoding: damaged files from sound ones, and the index.

    Raises InputError when what is damaged has no second copy, naming what brings it back.
    """
    with _held(folder) as manifest:
        place = index_place(folder, url)
        if manifest.passages_file in manifest.damaged():
            manifest.write_passages(_indexed(place, manifest))
        passages = manifest.passages()
        shards = sound_shards(manifest, passages)
        if lost := sum(key not in shards for key in _keys(passages)):
            raise InputError(
                f"{folder}: the vectors of {lost} of {len(passages)} passages are damaged in both copies; encode them "
                "again by ingesting any of the sources again: python -m kb_builder ingest SOURCE"
            )
        _rebuild(place, manifest.commit(passages, shards))


def _indexed(place: str, manifest: Manifest) -> list[Passage]:
    """Return the passages of the state as the index has them."""
    try:
        with closing(PassageIndex.open(place)) as index, answering(place):
            passages, _ = index.read()
    except InputError:
        passages = []
    if snapshot_id(manifest.embedder, manifest.chunker, passages) != manifest.snapshot:
        raise InputError(
            f"{manifest.passages_file}: is damaged, and the index does not hold its passages either; ingest all "
            "sources into another knowledge.path"
        )
    return passages


def rebuild(folder: Path, url: str | None = None) -> Manifest:
    """Make the index again from the passages and vectors that are kept; return the manifest of what it holds.

    Raises InputError when those are damaged, or the index cannot be written.
    """
    with _held(folder) as manifest:
        _rebuild(index_place(folder, url), manifest)
        return manifest


def _rebuild(place: str, manifest: Manifest) -> None:
    remove_index(place, manifest.identity)
    update_index(place, manifest)
