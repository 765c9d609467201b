"""Lines about the records of a file of any length, window by window: what `predict` and `reason` share.

In: a job and a file of records. Out: lines in a journal, and beside it the records that got none. A window is a fixed
stretch of the good records, whose batches are made anew as a whole when a kill left it half written: a line never
depends on where a run was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from kd_rag.data._formats_json import read_lines, split_items
from kd_rag.data.records import examine
from kd_rag.durable import file_digest
from kd_rag.evaluation.journal import Journal
from kd_rag.types import InputError, Record

WINDOW_BATCHES = 8
"""Batches of a window: their pictures are in memory together, and among them lengths are sorted."""


@dataclass(frozen=True, slots=True)
class Unmade:
    """Why there is no line about a record."""

    reason: str


class Job(Protocol):
    """What makes the lines; `source` names it for a journal, and the same source makes the same lines."""

    name: str

    @property
    def source(self) -> Mapping[str, Any]:
        """What the lines depend on, beside the records."""

    @property
    def batch_size(self) -> int:
        """Records of a batch."""

    def unusable(self, record: Record) -> str | None:
        """Return why there can be no line about a well-formed record, None where there can."""

    def lines(self, records: list[Record]) -> Sequence[str | Unmade]:
        """Return the line, ending with a line break, of each record of a window."""

    def ids(self, path: Path) -> list[str]:
        """Return the ids of the records that the lines of a file are about."""


def write_lines(job: Job, path: Path, out: Path, rejects: Path, *, strict: bool) -> tuple[int, int]:
    """Write a line about each record of `path`, going on with `out` where it ends; return how many there are and lack.

    Records without a line go to `rejects` with the reasons. Raises InputError when `out` is of another source, and with
    `strict` at the first record without a line.
    """
    entries = sum(1 for _ in split_items(read_lines(path)))
    written = 0
    with (
        Journal.open(out, {"input": file_digest(path), **job.source}, job.ids) as journal,
        _Good(path, job, rejects, strict) as good,
        tqdm(total=entries, unit="record", desc=job.name) as bar,
    ):
        while window := list(islice(good, WINDOW_BATCHES * job.batch_size)):
            if all(record.id in journal.finished for record in window):
                written += len(window)
            else:
                written += _write_window(job, window, journal, good)
            bar.update(written + good.rejected - bar.n)
        bar.update(entries - bar.n)
    return written, good.rejected


def _write_window(job: Job, window: list[Record], journal: Journal, good: _Good) -> int:
    """Append the lines of a window that are missing, and return how many lines it has."""
    made = list(zip(window, job.lines(window), strict=True))
    for record, line in made:
        if isinstance(line, Unmade):
            good.reject(record.id, None, [line.reason])
    lines = [(record, line) for record, line in made if isinstance(line, str)]
    journal.append(line for record, line in lines if record.id not in journal.finished)
    return len(lines)


class _Good(Iterator[Record]):
    """The records of `path` that there can be a line about; the others are written to `rejects` on the way.

    As a context it opens that file, and deletes it at the end if there were none.
    """

    def __init__(self, path: Path, job: Job, rejects: Path, strict: bool) -> None:
        self._path, self._found = path, examine(path, decode=True)
        self._job, self._rejects, self._strict = job, rejects, strict
        self.rejected = 0

    def __enter__(self) -> _Good:
        # The id of a rejected record may hold half a surrogate pair, which UTF-8 has no bytes for; JSON has an escape.
        self._file = self._rejects.open("w", encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self.rejected:
            self._rejects.unlink()

    def __next__(self) -> Record:
        for found in self._found:
            if not isinstance(found, Record):
                self.reject(found.id, found.place, list(found.faults))
            elif (reason := self._job.unusable(found)) is not None:
                self.reject(found.id, None, [reason])
            else:
                return found
        raise StopIteration

    def reject(self, identity: str | None, place: str | None, reasons: list[str]) -> None:
        """Write down a record without a line; raises InputError where that is one too many."""
        if self._strict:
            raise InputError(f"{self._path}, {place or f'record {identity!r}'}: {reasons[0]}")
        self.rejected += 1
        line = {"id": identity, "place": place, "reasons": reasons}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
