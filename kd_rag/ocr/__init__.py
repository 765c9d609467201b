"""OCR engines (a family), and reading many pictures with one of them.

In: records or paths of pictures, and the engine's component. Out: lines of text, kept on disk by the picture's bytes,
the engine, its version and its options, so that a second epoch or run reads no picture twice. `denoise` then chooses
the lines worth showing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import Image
from tqdm import tqdm

from kd_rag import registry
from kd_rag.ocr._cache import TextCache
from kd_rag.ocr._denoise import denoise
from kd_rag.ocr._pool import read_all
from kd_rag.ocr._views import ViewReader
from kd_rag.pictures import PictureError
from kd_rag.types import InputError, Record, TextLine

__all__ = ["Engine", "ReadAll", "ViewReader", "denoise", "kept_lines", "read_pictures", "read_records"]


class Engine(Protocol):
    """What a member of the family is: made from options alone and cheaply; models are loaded at the first `read`."""

    version: str | None
    """Package, version and weights, part of the cache's key; None reads no picture, so nothing is opened or kept."""

    def read(self, picture: Image.Image) -> tuple[TextLine, ...]:
        """Return the lines of an RGB picture: rows from the top, each from left to right."""
        ...


ReadAll = Callable[[Mapping[str, Any], Sequence[Path]], Iterator[tuple[Path, tuple[TextLine, ...]]]]
"""`read(component, paths)` yields each path with its lines, in whatever order they are done."""


@runtime_checkable
class RecordReader(Protocol):
    """An engine that takes lines from records instead of pictures."""

    def lines_of(self, record: Record) -> tuple[tuple[TextLine, ...], ...]:
        """Return the lines of each of a record's pictures."""
        ...


def read_records(
    records: Sequence[Record], component: Mapping[str, Any], cache_dir: Path
) -> dict[str, tuple[tuple[TextLine, ...], ...]]:
    """Return the lines of each picture of each record, by record id; the rest is as for `read_pictures`.

    Raises InputError naming the record as well.
    """
    engine = registry.build("ocr", component)
    if isinstance(engine, RecordReader):
        return {record.id: engine.lines_of(record) for record in records}
    try:
        read = read_pictures([path for record in records for path in record.images], component, cache_dir)
    except PictureError as error:
        identity = next(record.id for record in records if error.path in record.images)
        raise InputError(f"record {identity!r}: {error}") from None
    return {record.id: tuple(read[path] for path in record.images) for record in records}


def read_pictures(
    paths: Sequence[Path],
    component: Mapping[str, Any],
    cache_dir: Path,
    processes: int | None = None,
    read: ReadAll | None = None,
) -> dict[Path, tuple[TextLine, ...]]:
    """Return the lines of each picture, from the cache where it has them.

    `component` is `{"name": engine, **options}`; `processes` is the size of the pool that reads the missing ones
    (None: one a core), or `read` reads them elsewhere. A text is kept in `cache_dir` as soon as it is read, so a run
    that is killed loses nothing. Raises PictureError for a file that is no picture.
    """
    engine: Engine = registry.build("ocr", component)
    if engine.version is None:
        return dict.fromkeys(paths, ())
    cache = TextCache(cache_dir, component, engine.version)
    keys = {path: cache.key(_bytes_of(path)) for path in dict.fromkeys(paths)}
    texts = {key: lines for key in keys.values() if (lines := cache.load(key)) is not None}
    missing = {key: path for path, key in keys.items() if key not in texts}  # one path for equal files
    if missing:
        read = read or partial(read_all, processes=processes or os.cpu_count() or 1)
        done = read(component, list(missing.values()))
        for path, lines in tqdm(done, f"reading text ({component['name']})", len(missing), unit="picture"):
            cache.save(keys[path], lines)
            texts[keys[path]] = lines
    return {path: texts[key] for path, key in keys.items()}


def kept_lines(record: Record, component: Mapping[str, Any], cache_dir: Path) -> dict[Path, tuple[TextLine, ...]]:
    """Return the lines of those pictures of a record that were read before; nothing is read or written here."""
    engine = registry.build("ocr", component)
    if isinstance(engine, RecordReader):
        return dict(zip(record.images, engine.lines_of(record), strict=True))
    if engine.version is None or not cache_dir.is_dir():
        return {}
    cache = TextCache(cache_dir, component, engine.version)
    found = {path: cache.load(cache.key(_bytes_of(path))) for path in record.images}
    return {path: lines for path, lines in found.items() if lines is not None}


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureError(path, f"cannot be read ({error.strerror})") from None
