"""JSON: passages one a line in the knowledge base's own form, or training records, which become examples.

A file holds records when its first object has a key that tells a record format (kd_rag/data/formats.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb_builder.readers import FIELDS, Entry, Reading, mapped, object_of, text_of
from kd_rag.knowledge.content import DIGEST_KEY, LABEL_KEY, RECORD_KEY, words_digest
from kd_rag.types import IMAGE_MARKER, InputError

_RECORD_KEYS = ("turns", "messages", "conversations", "instruction")


def read_json_lines(path: Path, reading: Reading) -> Iterator[Entry]:
    """Yield the passages of a .jsonl file, or its records as examples."""
    lines = text_of(path).split("\n")
    first = next((line for line in lines if line.strip()), "")
    if _is_record(first):
        yield from read_records(path, reading)
        return
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield Entry(f"line {number}", _fields(line, reading, f"{path}: line {number}"))


def _is_record(line: str) -> bool:
    try:
        return any(key in object_of(line, "") for key in _RECORD_KEYS)
    except InputError:  # it is told when the lines are read one by one
        return False


def _fields(line: str, reading: Reading, where: str) -> dict[str, Any]:
    fields = object_of(line, where)
    if reading.columns:
        return mapped(fields, reading, where)
    if unknown := sorted(fields.keys() - set(FIELDS)):
        raise InputError(
            f"{where}: there is no field {unknown[0]!r} (there are: {', '.join(FIELDS)}); put other values into "
            "metadata, or say which key is meant with knowledge.columns.text=KEY"
        )
    return fields


def read_records(path: Path, reading: Reading) -> Iterator[Entry]:
    """Yield the labelled records of a file, in any of the record formats, as passages of kind `example`."""
    from kd_rag.data.formats import read_entries

    for entry in read_entries(path):
        where = f"{path}: {entry.place}"
        if entry.faults or entry.draft is None:
            raise InputError(f"{where}: {entry.faults[0]}")
        draft = entry.draft
        identity = draft.id or f"{path.stem}-{entry.number}"
        if draft.label is None:
            raise InputError(f"{where}: record {identity!r} has no label; an example needs one")
        text = "\n".join(turn.text.replace(IMAGE_MARKER, " ").strip() for turn in draft.turns)
        own = {RECORD_KEY: identity, DIGEST_KEY: words_digest(text)}
        metadata = {**own, LABEL_KEY: draft.label, "task": draft.task}
        fields = {"id": f"example-{identity}", "kind": "example", "text": text, "metadata": metadata}
        if text.strip():  # a record of pictures alone has nothing to be found by
            yield Entry(entry.place, fields)
