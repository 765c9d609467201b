"""Files into passages, whatever their format, with every fault in one sentence that names file and place.

In: files and folders. Out: the passages of each file; one id means one passage in all of them. A passage without an id
gets one from its content, and so keeps it wherever it moves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kb_builder.readers import Entry, Reading
from kb_builder.readers.headings import read_headings
from kb_builder.readers.html import read_html
from kb_builder.readers.json_lines import read_json_lines, read_records
from kb_builder.readers.pdf import read_pdf
from kb_builder.readers.tables import read_table
from kd_rag.knowledge.content import content_id
from kd_rag.types import InputError, Passage

KINDS = ("product", "faq", "review", "policy", "example")

_READERS: dict[str, Callable[[Path, Reading], Iterator[Entry]]] = {
    ".jsonl": read_json_lines,
    ".json": read_records,
    ".csv": read_table,
    ".tsv": read_table,
    ".md": read_headings,
    ".txt": read_headings,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
}


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


def read_files(files: Sequence[Path], reading: Reading) -> dict[Path, list[Passage]]:
    """Return the passages of each file; the same passage twice in one file counts once.

    Raises InputError at the first fault: a file that holds none, an entry that is none, two of one id.
    """
    passages: dict[str, Passage] = {}
    places: dict[str, str] = {}
    found: dict[Path, list[Passage]] = {}
    for path in files:
        own: dict[str, Passage] = {}
        for entry in _READERS[path.suffix.lower()](path, reading):
            where = f"{path}: {entry.place}"
            passage = _passage(entry, reading, where)
            own[passage.id] = passage
            if passages.setdefault(passage.id, passage) != passage:
                raise InputError(f"{where}: {places[passage.id]} has the id {passage.id!r} as well, with other content")
            places.setdefault(passage.id, where)
        if not own:
            raise InputError(f"{path}: holds no passage")
        found[path] = list(own.values())
    return found


def distinct(found: Mapping[Path, Sequence[Passage]]) -> list[Passage]:
    """Return the passages of all files, each once."""
    return list({passage.id: passage for passages in found.values() for passage in passages}.values())


def read_passages(files: Sequence[Path], reading: Reading) -> list[Passage]:
    """Do as `read_files` does, and return the passages of all files, each once."""
    return distinct(read_files(files, reading))


def made_ids(found: Mapping[Path, Sequence[Passage]]) -> dict[str, list[str]]:
    """Return, by the whole path of each file, which of its passages have an id made from their content."""
    return {str(path.resolve()): [p.id for p in passages if p.id == content_id(p)] for path, passages in found.items()}


def _passage(entry: Entry, reading: Reading, where: str) -> Passage:
    fields = {**entry.fields, "kind": entry.fields.get("kind") or reading.kind}
    for key in ("id", "title", "text"):
        if not isinstance(fields.get(key, ""), str):
            raise InputError(f"{where}: {key} is {fields[key]!r}; it must be text")
    if fields["kind"] not in KINDS:
        raise InputError(
            f"{where}: kind is {fields['kind']!r}; it must be one of {', '.join(KINDS)}; knowledge.kind=KIND says it "
            "for sources that do not"
        )
    if not f"{fields.get('title', '')}{fields.get('text', '')}".strip():
        raise InputError(f"{where}: title and text are both missing or empty")
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict):
        raise InputError(f"{where}: metadata is {metadata!r}; it must be an object")
    try:
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: holds what cannot be stored ({error})") from None
    passage = Passage(fields.get("id", ""), fields["kind"], fields.get("title", ""), fields.get("text", ""), metadata)
    return passage if passage.id else replace(passage, id=content_id(passage))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
