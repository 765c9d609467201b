"""File formats: each module reads one family of files into the fields of passages.

In: a path and `Reading`, what the configuration says of sources. Out: `Entry`s in the order of the file. A fault is an
InputError that names the file and the place in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kd_rag.types import InputError

FIELDS = ("id", "kind", "title", "text", "metadata")
"""What a passage is made of."""
TEXT_KIND = "policy"
"""What a passage from running text is, unless the configuration says otherwise."""


@dataclass(frozen=True)
class Entry:
    """The fields of a passage, and where they stand in their file: `line 3`, `page 2`."""

    place: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """How sources are read: `columns` names the column of a field, `kind` is that of passages without one.

    `ocr` is the component that reads scanned pages, whose texts are kept in `cache_dir`.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = None
    ocr: Mapping[str, Any] = field(default_factory=lambda: {"name": "none"})
    cache_dir: Path = Path("~/.cache/kd_rag")

    @property
    def texts_dir(self) -> Path:
        """Where the texts of scanned pages are kept."""
        return self.cache_dir.expanduser() / "ocr"


def text_of(path: Path) -> str:
    """Return the text of a UTF-8 file with `\\n` as its line ends."""
    data = bytes_of(path)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line}: is not UTF-8 text") from None


def bytes_of(path: Path) -> bytes:
    """Return the content of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def object_of(line: str, where: str) -> dict[str, Any]:
    """Return the JSON object that stands on a line."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: is not JSON ({error.msg}, column {error.colno})") from None
    except RecursionError:
        raise InputError(f"{where}: is not JSON that can be read (it is nested too deeply)") from None
    if not isinstance(found, dict):
        raise InputError(f"{where}: is {type(found).__name__}; it must be an object")
    return found


def mapped(row: Mapping[str, Any], reading: Reading, where: str) -> dict[str, Any]:
    """Return the passage fields of a row whose columns have names of their own; the others become metadata."""
    columns = {name: reading.columns.get(name, name) for name in FIELDS}
    for name in reading.columns:
        if columns[name] not in row:
            raise InputError(
                f"{where}: has no {columns[name]!r}, which knowledge.columns.{name} names; it has: {', '.join(row)}"
            )
    own = {name: row[column] for name, column in columns.items() if column in row}
    others = {name: value for name, value in row.items() if name not in columns.values() and value not in ("", None)}
    metadata = own.get("metadata", {})
    return {**own, "metadata": {**others, **metadata} if isinstance(metadata, dict) else metadata}
