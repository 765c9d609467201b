"""Files into passages: JSONL in the knowledge base's own form, tables, and text under headings.

In: files and folders. Out: passages with unique ids. A passage without an id gets one from its content, and so keeps it
wherever it moves. Each fault is one sentence that names the file and the line.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_rag.knowledge.collection import content_hash
from kd_rag.types import InputError, Passage

KINDS = ("product", "faq", "review", "policy", "example")
_FIELDS = ("id", "kind", "title", "text", "metadata")
_TEXT_KIND = "policy"
"""What a passage from running text is."""
_HEADING = re.compile(r"#{1,6}[ \t]+(.*?)[ \t#]*")
_FENCE = re.compile(r" {0,3}(```|~~~)")

Entry = tuple[int, Mapping[str, Any]]
"""A line number, and the fields of the passage that begins there."""


def find_files(sources: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the files that can be read, and those in folders that cannot; hidden ones are left out of both."""
    files: list[Path] = []
    skipped: list[Path] = []
    for source in sources:
        if source.is_dir():
            inside = sorted(p for p in source.rglob("*") if p.is_file() and not _hidden(p.relative_to(source)))
            readable = [p for p in inside if p.suffix.lower() in _READERS]
            if not readable:
                raise InputError(f"{source}: the folder holds no file that ingest reads ({', '.join(_READERS)})")
            files += readable
            skipped += [p for p in inside if p not in set(readable)]
        elif not source.exists():
            raise InputError(f"{source}: there is no such file or folder")
        elif source.suffix.lower() not in _READERS:
            raise InputError(f"{source}: is not a file that ingest reads; it reads {', '.join(_READERS)}")
        else:
            files.append(source)
    return files, skipped


def read_passages(files: Sequence[Path]) -> list[Passage]:
    """Return the passages of all files; the same passage twice counts once.

    Raises InputError at the first fault: a file that holds none, an entry that is none, two of one id.
    """
    passages: dict[str, Passage] = {}
    places: dict[str, str] = {}
    for path in files:
        entries = list(_READERS[path.suffix.lower()](path))
        if not entries:
            raise InputError(f"{path}: holds no passage")
        for line, fields in entries:
            where = f"{path}: line {line}"
            passage = _passage(fields, where)
            if passages.setdefault(passage.id, passage) != passage:
                raise InputError(f"{where}: {places[passage.id]} has the id {passage.id!r} as well, with other content")
            places.setdefault(passage.id, where)
    return list(passages.values())


def _passage(fields: Mapping[str, Any], where: str) -> Passage:
    for key in ("id", "kind", "title", "text"):
        if not isinstance(fields.get(key, ""), str):
            raise InputError(f"{where}: {key} is {fields[key]!r}; it must be text")
    if fields.get("kind") not in KINDS:
        raise InputError(f"{where}: kind is {fields.get('kind')!r}; it must be one of {', '.join(KINDS)}")
    if not f"{fields.get('title', '')}{fields.get('text', '')}".strip():
        raise InputError(f"{where}: title and text are both missing or empty")
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict):
        raise InputError(f"{where}: metadata is {metadata!r}; it must be an object")
    try:
        json.dumps(dict(fields), ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise InputError(f"{where}: holds what cannot be stored ({error})") from None
    passage = Passage(fields.get("id", ""), fields["kind"], fields.get("title", ""), fields.get("text", ""), metadata)
    identity = passage.id or f"{passage.kind}-{content_hash(passage)[:16]}"
    return Passage(identity, passage.kind, passage.title, passage.text, metadata)


def _jsonl(path: Path) -> Iterator[Entry]:
    for number, line in enumerate(_content(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {number}: is not JSON ({error.msg}, column {error.colno})") from None
        if not isinstance(fields, dict):
            raise InputError(f"{path}: line {number}: is {type(fields).__name__}; it must be an object")
        if unknown := sorted(fields.keys() - set(_FIELDS)):
            raise InputError(
                f"{path}: line {number}: there is no field {unknown[0]!r} (there are: {', '.join(_FIELDS)}); "
                "put other values into metadata"
            )
        yield number, fields


def _table(path: Path) -> Iterator[Entry]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows = csv.reader(io.StringIO(_content(path), newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    try:
        for row in rows:
            if row and not columns:
                columns = _header(row, path)
            elif row:
                yield rows.line_num, _row(row, columns, f"{path}: line {rows.line_num}")
    except csv.Error as error:
        raise InputError(f"{path}: line {rows.line_num}: is not a table row ({error})") from None


def _header(row: Sequence[str], path: Path) -> list[str]:
    columns = [name.strip() for name in row]
    missing = [name for name in ("kind", "text") if name not in columns]
    if missing or len(set(columns)) < len(columns):
        fault = f"has no column {missing[0]!r}" if missing else "names a column twice"
        raise InputError(f"{path}: line 1: {fault}; the columns are {', '.join(columns) or 'none'}")
    return columns


def _row(row: Sequence[str], columns: Sequence[str], where: str) -> dict[str, Any]:
    if len(row) != len(columns):
        raise InputError(f"{where}: has {len(row)} cells; there are {len(columns)} columns")
    cells = dict(zip(columns, row, strict=True))
    own: dict[str, Any] = {name: cells.pop(name) for name in ("id", "kind", "title", "text") if name in cells}
    return {**own, "metadata": {name: value for name, value in cells.items() if value}}


def _headings(path: Path) -> Iterator[Entry]:
    """Yield the text under each heading, and the text above the first one under the file's name."""
    sections, fenced = [(1, path.stem, list[str]())], False
    for number, line in enumerate(_content(path).split("\n"), start=1):
        fenced ^= bool(_FENCE.match(line))  # a '#' in a block of code is no heading
        if not fenced and (heading := _HEADING.fullmatch(line)):
            sections.append((number, heading[1], []))
        else:
            sections[-1][2].append(line)
    for number, title, body in sections:
        if text := "\n".join(body).strip():
            yield number, {"kind": _TEXT_KIND, "title": title, "text": text}


def _content(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line}: is not UTF-8 text") from None


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


_READERS = {".jsonl": _jsonl, ".csv": _table, ".tsv": _table, ".md": _headings, ".txt": _headings}
