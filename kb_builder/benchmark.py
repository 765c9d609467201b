"""A retrieval benchmark in a folder: passages, queries, and which passages answer which query.

In: a folder with three files. Out: a `Benchmark`. Each fault is one sentence that names the file and the line.
  kb.jsonl        passages, as `ingest` reads them
  queries.jsonl   {"id", "text", "metadata"} a line; metadata may be left out
  qrels.tsv       a header, then query id, passage id and grade a line; grade 0 is a passage that was judged useless
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_builder.readers import Reading, object_of, text_of
from kb_builder.sources import read_passages
from kd_rag.types import InputError, Passage, Record, Turn


@dataclass(frozen=True)
class Benchmark:
    """Queries that have an answer, as records of one customer turn, so that the recipe of queries applies to them.

    `grades` holds, for each query's id, the grades (1 or more) of the passages that answer it, by their ids.
    """

    passages: tuple[Passage, ...]
    queries: tuple[Record, ...]
    grades: Mapping[str, Mapping[str, int]]


def read_benchmark(folder: Path) -> Benchmark:
    """Read the three files; raise InputError at the first fault, or when no query has an answer."""
    passages = tuple(read_passages([_file(folder, "kb.jsonl")], Reading()))
    queries = _queries(_file(folder, "queries.jsonl"))
    grades = _grades(_file(folder, "qrels.tsv"), queries.keys(), {passage.id for passage in passages})
    return Benchmark(passages, tuple(query for query in queries.values() if query.id in grades), grades)


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise InputError(f"{folder}: has no {name}; a benchmark is kb.jsonl, queries.jsonl and qrels.tsv")
    return folder / name


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield `(place, line)` for each line that is not empty."""
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        if line.strip():
            yield f"{path}: line {number}", line


def _queries(path: Path) -> dict[str, Record]:
    queries: dict[str, Record] = {}
    for place, line in _lines(path):
        fields = object_of(line, place)
        if not all(isinstance(fields.get(key), str) for key in ("id", "text")):
            raise InputError(f"{place}: must be an object whose id and text are texts")
        if not isinstance(fields.get("metadata", {}), dict):
            raise InputError(f"{place}: metadata is {fields['metadata']!r}; it must be an object")
        if fields["id"] in queries:
            raise InputError(f"{place}: the id {fields['id']!r} stands there a second time")
        turn = Turn("user", fields["text"])
        queries[fields["id"]] = Record(fields["id"], "", (turn,), (), None, fields.get("metadata", {}))
    return queries


def _grades(path: Path, queries: Any, passages: Any) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    rows = list(_lines(path))[1:]
    for place, line in rows:
        cells = line.split("\t")
        if len(cells) != 3 or not cells[2].isdigit():
            raise InputError(f"{place}: must be a query id, a passage id and a whole grade, with tabs between them")
        for identity, known, what in ((cells[0], queries, "queries.jsonl"), (cells[1], passages, "kb.jsonl")):
            if identity not in known:
                raise InputError(f"{place}: {what} has no id {identity!r}")
        if int(cells[2]) > 0:
            grades[cells[0]][cells[1]] = int(cells[2])
    if not grades:
        raise InputError(f"{path}: names no passage that answers a query (a grade of 1 or more)")
    return dict(grades)
