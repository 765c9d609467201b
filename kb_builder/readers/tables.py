"""Tables: .csv and .tsv, one passage a row; columns that are no field of a passage become its metadata."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from kb_builder.readers import Entry, Reading, mapped, text_of
from kd_rag.types import InputError

_LONGEST_CELL_LETTERS = 2**31 - 1
"""The csv module's own limit is 131,072, and what it says of a longer cell does not tell how to go on."""


def read_table(path: Path, reading: Reading) -> Iterator[Entry]:
    """Yield the rows behind the header."""
    csv.field_size_limit(_LONGEST_CELL_LETTERS)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows = csv.reader(io.StringIO(text_of(path), newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    line = 1
    try:
        for row in rows:
            if row and not columns:
                columns = _header(row, reading, path)
            elif row:
                where = f"{path}: line {line}"
                if len(row) != len(columns):
                    raise InputError(f"{where}: has {len(row)} cells; there are {len(columns)} columns")
                yield Entry(f"line {line}", mapped(dict(zip(columns, row, strict=True)), reading, where))
            line = rows.line_num + 1
    except csv.Error as error:
        reached = f", line {rows.line_num}" if rows.line_num > line else ""
        raise InputError(
            f"{path}: line {line}: the row that begins here is not a table row ({error}{reached}); close its quotes"
        ) from None


def _header(row: Sequence[str], reading: Reading, path: Path) -> list[str]:
    columns = [name.strip() for name in row]
    needed = {"text": reading.columns.get("text", "text")}
    if reading.kind is None:
        needed["kind"] = reading.columns.get("kind", "kind")
    missing = [(name, column) for name, column in needed.items() if column not in columns]
    if len(set(columns)) < len(columns):
        raise InputError(f"{path}: line 1: names a column twice; the columns are {', '.join(columns)}")
    if missing:
        name, column = missing[0]
        other = " or set knowledge.kind" if name == "kind" else ""
        raise InputError(
            f"{path}: line 1: has no column {column!r}; the columns are {', '.join(columns)}: say which is meant with "
            f"knowledge.columns.{name}=COLUMN{other}"
        )
    return columns
