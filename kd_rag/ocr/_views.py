"""Reading pictures that lie in no file, such as augmented ones: decoded pictures -> lines, one picture at a time.

The cache knows them by their pixels, so a view that is met again, in this run or another, is read once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from kd_rag import registry
from kd_rag.ocr._cache import TextCache
from kd_rag.types import InputError, TextLine

if TYPE_CHECKING:
    from kd_rag.ocr import Engine


class ViewReader:
    """Reads decoded RGB pictures with the engine of `component`, in whatever process it is sent to.

    Raises InputError for an engine that reads no pictures.
    """

    def __init__(self, component: Mapping[str, Any], cache_dir: Path) -> None:
        self._component = component
        self._engine: Engine = registry.build("ocr", component)
        self._process = os.getpid()
        if self._engine.version is None:
            raise InputError(f"ocr.of_augmented: {component['name']!r} reads no pictures; set it to false")
        self._cache = TextCache(cache_dir, component, self._engine.version)

    def __call__(self, pictures: Sequence[Image.Image]) -> tuple[tuple[TextLine, ...], ...]:
        """Return the lines of each picture."""
        return tuple(self._read(picture) for picture in pictures)

    def _read(self, picture: Image.Image) -> tuple[TextLine, ...]:
        key = self._cache.key(repr(picture.size).encode() + picture.tobytes())
        lines = self._cache.load(key)
        if lines is None:
            if self._process != os.getpid():  # a model that was loaded before a fork may hang behind it
                self._engine, self._process = registry.build("ocr", self._component), os.getpid()
            lines = self._engine.read(picture)
            self._cache.save(key, lines)
        return lines
