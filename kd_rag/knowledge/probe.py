"""Questions to a Chroma index that a sound one answers rightly; a broken one may crash, hang, or answer wrongly.

A program of its own, because a damaged index can end the process that opens it or never return:
`python -m kd_rag.knowledge.probe FOLDER PLACE` prints a JSON list of faults. The index in a folder is asked by
way of a copy, so that the original stays as it was found.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from kd_rag.knowledge.chroma import answering
from kd_rag.knowledge.collection import ROWS_AT_ONCE, PassageIndex
from kd_rag.knowledge.content import content_hash
from kd_rag.knowledge.manifest import Manifest
from kd_rag.types import InputError

_PROBES = 256
_MISSES = 0.1
"""Share of probes that approximate search may miss. Of real passages it missed none in 3,000, but of very similar
vectors 8 in 256; an index that has lost its graph misses nearly all."""
_TOLERANCE = 1e-4
"""Of a vector's numbers and of a cosine distance, which the index computes in its own way."""


def find_faults(folder: Path, place: str) -> list[str]:
    """Return what is wrong with the index at `place` of the knowledge base in `folder`."""
    manifest = Manifest.read(folder)
    if "://" in place:
        return _ask(place, manifest)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=folder) as scratch:
        copy = str(Path(scratch) / "chroma")
        if Path(place).is_dir():
            shutil.copytree(place, copy)
        return [fault.replace(copy, place) for fault in _ask(copy, manifest)]


def _ask(place: str, manifest: Manifest) -> list[str]:
    try:
        with closing(PassageIndex.open(place)) as index, answering(place):
            return list(_wrong_answers(index, manifest))
    except InputError as error:
        return [str(error)]


def _wrong_answers(index: PassageIndex, manifest: Manifest) -> Iterator[str]:
    if index.fingerprint != manifest.embedder:
        yield f"{index.place}: its vectors were made by {index.fingerprint}, not by {manifest.embedder}"
        return
    if index.snapshot != manifest.snapshot:
        yield f"{index.place}: holds snapshot {index.snapshot}, not {manifest.snapshot}"
    passages, vectors = manifest.passages(), manifest.vectors()
    there, wanted = index.hashes(), {p.id: content_hash(p) for p in passages}
    for what, ids in [
        ("lacks", wanted.keys() - there.keys()),
        ("has, though they are no passages,", there.keys() - wanted.keys()),
        ("has an old version of", {i for i in wanted.keys() & there.keys() if wanted[i] != there[i]}),
    ]:
        if ids:
            yield f"{index.place}: {what} {len(ids)} passages, among them {min(ids)!r}"
            return
    if not passages:
        return
    kept, held = index.read()
    if [p.id for p in kept] != [p.id for p in passages] or not np.allclose(held, vectors, atol=_TOLERANCE):
        yield f"{index.place}: its vectors are not those of its passages"
    else:
        yield from _misses(index, {p.id: row for row, p in enumerate(passages)}, vectors)
    index.write(passages[:ROWS_AT_ONCE], vectors[:ROWS_AT_ONCE])  # broken links show when a row is linked anew


def _misses(index: PassageIndex, row_of: dict[str, int], vectors: Float32[np.ndarray, "passages dim"]) -> Iterator[str]:
    """Look for vectors that are there, and check what is found against the vectors themselves."""
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(_PROBES, len(vectors))).astype(int))
    found = index.rows.query(query_embeddings=vectors[rows], n_results=1, include=["distances"])
    missed, wrong = 0, 0
    for row, ids, distances in zip(rows, found["ids"], found["distances"], strict=True):
        missed += not distances or distances[0] > _TOLERANCE
        wrong += any(
            abs(1 - vectors[row] @ vectors[row_of[i]] - distance) > _TOLERANCE
            for i, distance in zip(ids, distances, strict=True)
        )
    if wrong or missed > _MISSES * len(rows):
        yield f"{index.place}: of {len(rows)} vectors that it holds it finds {len(rows) - missed}, {wrong} wrongly"


if __name__ == "__main__":
    print(json.dumps(find_faults(Path(sys.argv[1]), sys.argv[2])))
