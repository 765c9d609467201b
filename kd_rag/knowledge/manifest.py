"""The manifest of a knowledge base: which files are its committed state, and what made their vectors.

Two files hold the state: the passages, one a line and sorted by id, and their vectors in the same order. They are
written under names of their own, and then the manifest is replaced: readers see the last whole ingestion, however a
later one ended, and every file is checked against the digest that the manifest gives.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from kd_rag.durable import file_digest, remove_partial, write_whole
from kd_rag.knowledge.content import as_json, passage_text, snapshot_id, text_key
from kd_rag.knowledge.vectors import REPAIR, VectorShards
from kd_rag.types import InputError, Passage

_FILE = "manifest.json"
_FORMAT = 1
_ROWS_AT_ONCE = 4096
_REMEDY = "ingest all sources into another knowledge.path"


@dataclass(frozen=True)
class Manifest:
    """What `folder` holds; `snapshot` is None until a first ingestion has run to its end."""

    folder: Path
    embedder: str
    """Fingerprint of the embedder that made the vectors."""
    chunker: str
    """How long passages were cut, in words."""
    dimension: int
    identity: str = ""
    """Drawn when the knowledge base was begun; its index bears it, which no other folder may then write to."""
    snapshot: str | None = None
    kinds: dict[str, int] = field(default_factory=dict)
    """Passages of each kind."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the two files of the state, by name: `passages-ID.jsonl` and `vectors-ID.npy`."""
    former: list[str] = field(default_factory=list)
    """The two files of the state before; readers may have just opened them."""
    made_ids: dict[str, list[str]] = field(default_factory=dict)
    """By source file: its passages whose ids were made from their content, so that an edited one has another id."""

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest in `folder`; raise InputError when there is none or it is not one of ours."""
        absent = f"{folder}: there is no knowledge base; make one with: python -m kb_builder ingest SOURCE"
        try:
            found = json.loads((folder / _FILE).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"{absent} knowledge.path={folder}") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{folder / _FILE}: cannot be read ({error}); {_REMEDY}") from None
        if not isinstance(found, dict) or found.pop("format", None) != _FORMAT:
            raise InputError(f"{folder / _FILE}: is of another program or version; choose another knowledge.path")
        try:
            return cls(folder=folder, **found)
        except TypeError as error:  # a key is missing, or one is unknown
            reason = str(error).removeprefix("Manifest.__init__() ")
            raise InputError(f"{folder / _FILE}: is damaged ({reason}); {_REMEDY}") from None

    @classmethod
    def read_or_create(cls, folder: Path, embedder: str, chunker: str, dimension: int) -> Manifest:
        """Read the manifest in `folder`, or start one; raise InputError when what is there was made otherwise."""
        remove_partial(folder)
        if not (folder / _FILE).exists():
            if (folder / "chroma.sqlite3").exists():
                raise InputError(f"{folder}: is a Chroma store that kb_builder did not make; choose another folder")
            cls(folder, embedder, chunker, dimension, uuid.uuid4().hex).write()
        manifest = cls.read(folder)
        manifest.check_embedder(embedder)
        if chunker != manifest.chunker:
            raise InputError(
                f"{folder}: its passages were made as {manifest.chunker}, but the configuration says {chunker}; set "
                "knowledge.overlap_tokens as it was, or ingest into another knowledge.path"
            )
        return manifest

    def write(self) -> None:
        """Replace the manifest in the folder."""
        entries = {k: v for k, v in dataclasses.asdict(self).items() if k != "folder"}
        write_whole(self.folder / _FILE, [json.dumps({"format": _FORMAT, **entries}, indent=1).encode()])

    def check_embedder(self, fingerprint: str) -> None:
        """Raise InputError when the vectors are another embedder's."""
        if fingerprint != self.embedder:
            raise InputError(
                f"{self.folder}: its vectors were made by {self.embedder}, but knowledge.embedder is {fingerprint}; "
                "name the former there, or ingest into another knowledge.path"
            )

    @property
    def total(self) -> int:
        """How many passages the state has."""
        return sum(self.kinds.values())

    def passages(self) -> tuple[Passage, ...]:
        """Return the passages of the state, sorted by id; none before the first commit."""
        if self.snapshot is None:
            return ()
        content = self._checked(self.passages_file).read_bytes()
        return tuple(Passage(**json.loads(line)) for line in content.splitlines())

    def vectors(self) -> Float32[np.ndarray, "passages dim"]:
        """Return the vectors of `passages()` in the same order, mapped from the file and read-only."""
        vectors: np.ndarray[Any, Any] = np.load(self._checked(self.vectors_file), mmap_mode="r")
        return vectors

    def commit(self, passages: Sequence[Passage], shards: VectorShards) -> Manifest:
        """Make `passages`, whose vectors are all in `shards`, the state; return its manifest."""
        ordered = sorted(passages, key=lambda p: p.id)
        snapshot = snapshot_id(self.embedder, self.chunker, ordered)
        kinds = sorted({p.kind for p in ordered})
        new = dataclasses.replace(
            self, snapshot=snapshot, kinds={kind: sum(p.kind == kind for p in ordered) for kind in kinds}
        )
        files = {
            new.passages_file.name: new.write_passages(ordered),
            new.vectors_file.name: write_whole(new.vectors_file, _npy(ordered, shards, self.dimension)),
        }
        new = dataclasses.replace(new, files=files, former=[name for name in self.files if name not in files])
        new.write()
        new._remove_others()
        return new

    def write_passages(self, ordered: Sequence[Passage]) -> str:
        """Write the passages of the state, sorted by id, and return the digest of the file."""
        return write_whole(self.passages_file, (f"{as_json(_fields(p))}\n".encode() for p in ordered))

    def damaged(self) -> list[Path]:
        """Return which files of the state do not have the content that was written."""
        return [self.folder / name for name, digest in self.files.items() if file_digest(self.folder / name) != digest]

    @property
    def passages_file(self) -> Path:
        """The file of `passages()`."""
        return self.folder / f"passages-{self.snapshot}.jsonl"

    @property
    def vectors_file(self) -> Path:
        """The file of `vectors()`."""
        return self.folder / f"vectors-{self.snapshot}.npy"

    def _checked(self, file: Path) -> Path:
        if file_digest(file) != self.files[file.name]:
            raise InputError(f"{file}: is damaged or missing; repair with: {REPAIR} knowledge.path={self.folder}")
        return file

    def _remove_others(self) -> None:
        for file in [*self.folder.glob("passages-*.jsonl"), *self.folder.glob("vectors-*.npy")]:
            if file.name not in (*self.files, *self.former):
                file.unlink()


def _fields(passage: Passage) -> dict[str, Any]:
    return {
        "id": passage.id,
        "kind": passage.kind,
        "title": passage.title,
        "text": passage.text,
        "metadata": dict(passage.metadata),
    }


def _npy(passages: Sequence[Passage], shards: VectorShards, dimension: int) -> Iterator[bytes]:
    """Yield the .npy file of the passages' vectors; a mapped file would end the process on a full disk."""
    import io

    header = io.BytesIO()
    shape = (len(passages), dimension)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    yield header.getvalue()
    for start in range(0, len(passages), _ROWS_AT_ONCE):
        keys = [text_key(passage_text(p)) for p in passages[start : start + _ROWS_AT_ONCE]]
        yield shards.gather(keys, dimension).tobytes()
