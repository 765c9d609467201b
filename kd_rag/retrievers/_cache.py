"""Answers of a retriever, kept on disk: one JSONL file for each knowledge base snapshot, member and set of options.

In: a retriever and a folder. Out: a retriever that asks only what it was not asked before. The snapshot is part of the
file's name, so a changed knowledge base finds no old answer. A file is whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub.constants import HF_HUB_CACHE

from kd_rag import registry
from kd_rag.durable import file_digest, write_whole
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.retrievers import Retriever
from kd_rag.types import InputError, Passage, Query, Retrieved

_log = logging.getLogger(__name__)

_FORMAT = 2
"""To be raised when a change to this room changes answers."""

Answer = list[tuple[str, float]]
"""Ids of passages and their scores."""


def open_retriever(
    component: Mapping[str, Any], open_knowledge: Callable[[], KnowledgeBase], folder: Path
) -> Retriever:
    """Return the member that `component` describes, its answers kept in `folder`; `none` has none to keep."""
    retriever: Retriever = registry.build("retrievers", component, open_knowledge)
    if component["name"] == "none":
        return retriever
    return CachedRetriever(retriever, component, open_knowledge, folder)


class CachedRetriever:
    """`retriever`, which `component` with all of its options describes, with its answers kept in `folder`."""

    def __init__(
        self,
        retriever: Retriever,
        component: Mapping[str, Any],
        open_knowledge: Callable[[], KnowledgeBase],
        folder: Path,
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot keep retrieved passages there ({error.strerror})") from None
        self._retriever = retriever
        self._open_knowledge = open_knowledge
        self.snapshot = retriever.snapshot
        self._file = _answers_file(component, retriever.snapshot, folder)

    @cached_property
    def _passages(self) -> dict[str, Passage]:
        return {passage.id: passage for passage in self._open_knowledge().passages}

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Retrieved, ...]]:
        """Return the passages of each query; only those that the file does not hold are retrieved."""
        keys = [_key(query) for query in queries]
        known = _read(self._file)
        missing = {key: query for key, query in zip(keys, queries, strict=True) if key not in known}
        if missing:
            found = self._retriever.retrieve(list(missing.values()))
            new = {
                key: [(r.passage.id, r.score) for r in passages] for key, passages in zip(missing, found, strict=True)
            }
            known = {**_read(self._file), **new}  # another process may have written meanwhile
            self._write(known)
        return [tuple(Retrieved(self._passages[i], score) for i, score in known[key]) for key in keys]

    def _write(self, answers: Mapping[str, Answer]) -> None:
        write_whole(self._file, (f"{json.dumps({'query': k, 'found': v})}\n".encode() for k, v in answers.items()))


def kept_answers(component: Mapping[str, Any], snapshot: str, folder: Path) -> Callable[[Query], Answer | None]:
    """Return what looks up answers that were kept, None for a query without one; the knowledge base stays closed."""
    known = _read(_answers_file(component, snapshot, folder))
    return lambda query: known.get(_key(query))


def _answers_file(component: Mapping[str, Any], snapshot: str, folder: Path) -> Path:
    setting = [_FORMAT, version("bm25s"), snapshot, dict(component), _contents(component)]
    return folder / f"{_digest(setting)[:32]}.jsonl"


def _read(file: Path) -> dict[str, Answer]:
    """Return all answers; a damaged file (a full disk) is logged and counts as absent."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return {entry["query"]: entry["found"] for entry in map(json.loads, lines)}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("%s is damaged (%s); its passages are retrieved again", file, error)
        return {}


def _key(query: Query) -> str:
    """Return a hash of all that an answer depends on; pictures count by their bytes."""
    pictures = {path: file_digest(path) for path in query.pictures}
    for path, digest in pictures.items():
        if digest is None:
            raise InputError(f"{path}: there is no such picture, or it cannot be read")
    return _digest([query.text, list(pictures.values()), query.record_id, query.record_text])


def _contents(value: Any) -> list[Any]:
    """Return what tells the weights of the models that the options name, since weights may be replaced.

    Of a folder these are name, size and time of each file, of a hub id the commit that the hub's cache holds.
    """
    if isinstance(value, Mapping):
        return [entry for inner in value.values() for entry in _contents(inner)]
    if not isinstance(value, str):
        return []
    if not Path(value).is_dir():
        commit = Path(HF_HUB_CACHE, f"models--{value.replace('/', '--')}", "refs", "main")
        return [commit.read_text(encoding="utf-8")] if commit.is_file() else []
    files = sorted(path for path in Path(value).rglob("*") if path.is_file())
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
