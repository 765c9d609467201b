"""Small tensors kept on disk under content keys: what a teacher said, what a frozen encoder saw.

In: rows, each a key, named tensors, and the parts that the key was made of. Out: the same tensors bit for bit, or an
InputError that says what differs; never other numbers.

A store is a folder. `header.json` says what all rows have in common (models, format, options). Every append adds one
safetensors file, a segment, never changed again; it is named by the SHA-256 of its metadata and carries the store's
header, so that processes fill one folder without a lock, segments of equal stores may be copied together, and a damaged
or foreign one is refused. It is written beside its place, flushed to disk and renamed: a process killed at any moment
leaves at worst a hidden `.partial` file that nobody reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, uint8

from kd_rag.durable import write_whole
from kd_rag.types import InputError

_ADDRESS = ("record", "view")
"""The parts that say which item a row belongs to; the others say what was made of it."""

_METADATA = "store"
"""Name of a segment's one metadata entry: JSON with the store's header and, row by row, key, parts, digests."""

_REMEDY = "delete the file and write its rows again"


@dataclass(frozen=True, slots=True)
class Row:
    """What is kept under a key; `parts` are digests or short texts, by name, that the key was made of."""

    key: str
    tensors: Mapping[str, Tensor]
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a row stands, its parts, and the digest of each of its tensors."""

    file: Path
    number: int
    parts: dict[str, str]
    digests: dict[str, str]


class TensorStore:
    """The rows of one folder, as far as `open`, `refresh` and `append` have seen them; the first of a key counts.

    It holds no open file and no tensor, so it may be handed to worker processes.
    """

    def __init__(self, folder: Path, header: Mapping[str, str]) -> None:
        self._folder = folder
        self._header = dict(header)
        self._entries: dict[str, _Entry] = {}
        self._sizes: dict[Path, int] = {}

    @classmethod
    def open(cls, folder: Path, header: Mapping[str, str]) -> TensorStore:
        """Return the store in `folder`, made if need be; only the headers of its segments are read.

        Raises InputError when the folder cannot be written, was filled under another header (the entry that differs is
        named), or holds a damaged or foreign segment.
        """
        file = folder / "header.json"
        if not file.exists():
            write_whole(file, [json.dumps(dict(header), indent=1, sort_keys=True).encode()])
        try:
            found = dict(json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{file}: is no header of a tensor store ({error}); name another folder") from None
        _check_header(folder, found, header, "name another folder, or set what it was filled with")
        store = cls(folder, header)
        store.refresh()
        return store

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk of the segments seen so far, headers included."""
        return sum(self._sizes.values())

    def read(self, key: str) -> dict[str, Tensor]:
        """Return a row's tensors on the CPU, each checked against its digest; nothing else is read.

        Raises KeyError for a key that the store lacks, InputError naming file, row and tensor for a damaged one.
        """
        entry = self._entries[key]
        place = " ".join([f"{entry.file}: row {key}", *(f"{n} {entry.parts[n]}" for n in _ADDRESS if n in entry.parts)])
        try:
            with safe_open(entry.file, framework="pt") as file:
                # A clone, because the checked numbers must not change with the file that is mapped.
                tensors = {name: file.get_tensor(f"{entry.number}.{name}").clone() for name in entry.digests}
        except (OSError, SafetensorError) as error:
            raise InputError(f"{place}: cannot be read ({error}); {_REMEDY}") from None
        for name, digest in entry.digests.items():
            if (found := _digest(tensors[name])) != digest:
                raise InputError(f"{place}: {name} has digest {found}, but {digest} was written; {_REMEDY}")
        return tensors

    def nearest(self, parts: Mapping[str, str]) -> dict[str, str] | None:
        """Return the parts of the row of the same record and view that shares most of `parts`: why one is missing."""
        rows = [entry.parts for entry in self._entries.values()]
        same = (row for row in rows if all(row.get(name) == parts.get(name) for name in _ADDRESS))
        return max(same, key=lambda row: len(row.items() & parts.items()), default=None)

    def append(self, rows: Sequence[Row]) -> None:
        """Add the rows with new keys as one segment, which is on disk on return; InputError if it cannot be written."""
        fresh = [row for row in rows if row.key not in self]
        if not fresh:
            return
        tensors, described = {}, []
        for number, row in enumerate(fresh):
            # Clones, because safetensors refuses views that share memory.
            plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in row.tensors.items()}
            tensors.update({f"{number}.{name}": tensor for name, tensor in plain.items()})
            digests = {name: _digest(tensor) for name, tensor in plain.items()}
            described.append({"key": row.key, "parts": dict(row.parts), "digests": digests})
        text = json.dumps({"header": self._header, "rows": described})
        file = self._folder / _segment_name(text)
        write_whole(file, [save(tensors, {_METADATA: text})])
        self._index(file)

    def refresh(self) -> None:
        """See the segments that other processes have added; raises InputError for a damaged or foreign one."""
        for file in sorted(self._folder.glob("*.safetensors")):
            if file not in self._sizes:
                self._index(file)

    def _index(self, file: Path) -> None:
        """Read a segment's header and remember its rows."""
        size = file.stat().st_size
        try:
            with safe_open(file, framework="pt") as segment:
                text = (segment.metadata() or {}).get(_METADATA, "")
        except (OSError, SafetensorError) as error:
            raise InputError(f"{file}: has {size} bytes that do not fit its header ({error}); {_REMEDY}") from None
        if file.name != (name := _segment_name(text)):
            raise InputError(f"{file}: its header is damaged or not a segment's (its name would be {name}); {_REMEDY}")
        content = json.loads(text)
        _check_header(file, content["header"], self._header, "it is a segment of another store: move it out")
        self._sizes[file] = size
        for number, row in enumerate(content["rows"]):
            self._entries.setdefault(row["key"], _Entry(file, number, row["parts"], row["digests"]))


def _check_header(place: Path, found: Mapping[str, str], wanted: Mapping[str, str], remedy: str) -> None:
    for name in sorted(found.keys() | wanted.keys()):
        if (there := found.get(name)) != (here := wanted.get(name)):
            raise InputError(f"{place}: {name} is {there!r} there and {here!r} here; {remedy}")


def _segment_name(text: str) -> str:
    return f"{hashlib.sha256(text.encode()).hexdigest()}.safetensors"


def _digest(tensor: Tensor) -> str:
    """Return the SHA-256 of a tensor's dtype, shape and bytes."""
    content = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)} ".encode())
    content.update(tensor.reshape(-1).view(uint8).numpy().data)
    return content.hexdigest()
