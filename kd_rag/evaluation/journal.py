"""A file of lines about records that grows line by line and outlives a kill.

Beside `FILE` stands `FILE.source.json`, which says what the lines were made of: a file of another input, model or
configuration is never continued, nor one that another process is writing (flock, which ends with its holder). In: lines
in input order. Out: the file, each record once.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from kd_rag.durable import write_whole
from kd_rag.types import InputError


class Journal:
    """Lines in an open file; `finished` are the ids of the records whose lines were there when it was opened."""

    def __init__(self, file: IO[bytes], finished: set[str]) -> None:
        self._file = file
        self.finished = finished

    @classmethod
    @contextmanager
    def open(cls, path: Path, source: Mapping[str, Any], ids: Callable[[Path], list[str]]) -> Iterator[Journal]:
        """Begin a file, or continue one whose `source` (JSON values) is the same; `ids` reads those of a whole file.

        A half-written last line is cut. Raises InputError naming the part of `source` that differs, and where the file
        cannot be written or another process holds it.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = path.open("ab+")
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        with opened as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{path}: another process is writing to it; run again when that has ended") from None
            _settle_source(path, source)
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            yield cls(file, set(ids(path)))

    def append(self, lines: Iterable[str]) -> None:
        """Write complete lines behind the others."""
        self._file.writelines(line.encode() for line in lines)
        self._file.flush()


def _settle_source(path: Path, source: Mapping[str, Any]) -> None:
    """Write down the source of a file that is empty yet, or check that the lines of another are of the same."""
    beside = path.with_name(path.name + ".source.json")
    if not path.stat().st_size:
        write_whole(beside, [f"{json.dumps(source, ensure_ascii=False, indent=1)}\n".encode()])
        return
    if not beside.is_file():
        raise InputError(f"{path}: exists, and {beside.name}, which says what it was made of, does not; move it away")
    before = json.loads(beside.read_text(encoding="utf-8"))
    wanted = json.loads(json.dumps(source))
    for key in sorted(before.keys() | wanted.keys()):
        if before.get(key) != wanted.get(key):
            raise InputError(
                f"{path}: was begun with {key} {before.get(key)!r}, now it is {wanted.get(key)!r}; choose another "
                "--out, or delete the file to begin again"
            )
