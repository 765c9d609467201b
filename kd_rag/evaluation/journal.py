"""A file of lines about records that grows line by line and outlives a kill.

Beside `FILE` stands `FILE.source.json`, which says what the lines were made of: a file of another input, model or
configuration is never continued. In: lines in input order. Out: the file, each record once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kd_rag.durable import write_whole
from kd_rag.types import InputError


class Journal:
    """Lines in the file `path`; `finished` are the ids of the records whose lines were there when it was opened."""

    def __init__(self, path: Path, finished: set[str]) -> None:
        self.path = path
        self.finished = finished

    @classmethod
    def open(cls, path: Path, source: Mapping[str, Any], ids: Callable[[Path], list[str]]) -> Journal:
        """Begin a file, or continue one whose `source` (JSON values) is the same; `ids` reads those of a whole file.

        A half-written last line is cut. Raises InputError naming the part of `source` that differs.
        """
        beside = path.with_name(path.name + ".source.json")
        if not path.exists():
            write_whole(beside, [f"{json.dumps(source, ensure_ascii=False, indent=1)}\n".encode()])
            path.touch()
            return cls(path, set())
        if not beside.is_file():
            raise InputError(
                f"{path}: exists, and {beside.name}, which says what it was made of, does not; move it away"
            )
        before = json.loads(beside.read_text(encoding="utf-8"))
        wanted = json.loads(json.dumps(source))
        for key in sorted(before.keys() | wanted.keys()):
            if before.get(key) != wanted.get(key):
                raise InputError(
                    f"{path}: was begun with {key} {before.get(key)!r}, now it is {wanted.get(key)!r}; choose another "
                    "--out, or delete the file to begin again"
                )
        with path.open("rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
        return cls(path, set(ids(path)))

    def append(self, lines: Iterable[str]) -> None:
        """Write complete lines behind the others."""
        with self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
