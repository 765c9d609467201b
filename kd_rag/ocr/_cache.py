"""Texts read from pictures, kept on disk: one small JSON file for each picture, engine and set of options.

In and out: lines of text. A file is whole or not there, so processes may share the folder and a killed one leaves no
half entry. 'No text' is an entry too.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kd_rag import registry
from kd_rag.durable import write_whole
from kd_rag.types import InputError, TextLine

_log = logging.getLogger(__name__)


class TextCache:
    """The texts that one engine with its options has read.

    `folder` is made if need be; `component` is `{"name": …, **options}`, where an option left out counts as its default
    written out; `version` names the engine's package and weights.
    """

    def __init__(self, folder: Path, component: Mapping[str, Any], version: str) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot keep texts of pictures there ({error.strerror})") from None
        known = registry.options("ocr", component["name"]).items()
        defaults = {option: value for option, (_, value) in known if value is not inspect.Parameter.empty}
        self._folder = folder
        self._engine = {**defaults, **component, "version": version}

    def key(self, content: bytes) -> str:
        """Return the name of a picture's entry: a hash of the picture's bytes and of the engine."""
        engine = json.dumps(self._engine, sort_keys=True)
        return hashlib.sha256(f"{hashlib.sha256(content).hexdigest()} {engine}".encode()).hexdigest()

    def load(self, key: str) -> tuple[TextLine, ...] | None:
        """Return the lines of an entry, or None if there is none.

        A damaged entry (a full disk, a lost power supply) is logged and counts as absent: its picture is read again and
        gives the same lines. Raises InputError for one that may not be read.
        """
        try:
            entry = json.loads(self._file(key).read_text(encoding="utf-8"))
            return tuple(TextLine(i["text"], i["confidence"], tuple(i["box"])) for i in entry["lines"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{self._file(key)}: cannot be read ({error.strerror}); name another cache_dir") from None
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s is damaged (%s); its picture is read again", self._file(key), error)
            return None

    def save(self, key: str, lines: tuple[TextLine, ...]) -> None:
        """Write an entry at once and whole; raise InputError when the disk takes no more."""
        kept = [{"text": line.text, "confidence": line.confidence, "box": line.box} for line in lines]
        entry = {"engine": self._engine, "lines": kept}
        write_whole(self._file(key), [json.dumps(entry, ensure_ascii=False).encode()])

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"
