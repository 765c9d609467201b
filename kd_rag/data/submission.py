"""The challenge's answer file: its own records as a table, with one more column for the label.

In: a file of the challenge's records and a label for each id. Out: CSV in UTF-8 behind a byte order mark, one row a
record in the file's order: its own columns, then `predict`. Lists stand as Python writes them, a missing value is
empty, fields are quoted where they must be, lines end with a line feed: what a pandas table of the records gives.
Source: the challenge's rules (Tianchi 532277) ask for the test records with a column `predict`, encoded as utf-8-sig.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd_rag.data._formats_json import read_lines, split_items
from kd_rag.durable import write_whole
from kd_rag.types import InputError

COLUMN = "predict"


def challenge_rows(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file; raises InputError naming the first that is of another format."""
    rows = []
    for item in split_items(read_lines(path)):
        if isinstance(item.value, dict):
            if "instruction" not in item.value or COLUMN in item.value:
                raise InputError(
                    f"{path}: {item.place}: --format mdsirc answers the challenge's own records, which have the key "
                    f"'instruction' and no key {COLUMN!r}; use --format jsonl"
                )
            rows.append(item.value)
    return rows


def write_submission(path: Path, rows: list[dict[str, Any]], labels: Mapping[str, str]) -> None:
    """Write the rows whose id has a label; `path` appears only once it is complete."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([*columns, COLUMN])
    seen: set[str] = set()
    for row in rows:
        identity = str(row.get("id"))
        if identity in labels and identity not in seen:  # a second one of that id was rejected
            seen.add(identity)
            writer.writerow([*(row.get(column) for column in columns), labels[identity]])
    write_whole(path, [table.getvalue().encode("utf-8-sig")])
