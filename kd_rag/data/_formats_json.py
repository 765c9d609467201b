"""Strict JSON, item by item: the text of a JSON Lines file or of one JSON array -> numbered items with their faults.

Python's `json` lets pass what breaks later: NaN and numbers that overflow, and a key that stands twice (the last one
wins in silence). Here they are faults, and reading goes on behind them, so that one pass finds all of them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kd_rag.types import InputError

_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a file; `number` counts lines or array items from 1. Text that is not JSON gives value None."""

    number: int
    place: str
    value: object
    faults: tuple[str, ...] = ()


def read_text(path: Path) -> str:
    """Return a file's text; a byte order mark is dropped.

    Raises InputError when the file cannot be read or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line}: is not UTF-8; save the file in that encoding") from None


def split_items(text: str) -> Iterator[Item]:
    """Yield the items of an array if the text begins with `[`, else one item for each line that is not blank."""
    return _array_items(text) if text.lstrip().startswith("[") else _line_items(text)


def _line_items(text: str) -> Iterator[Item]:
    # str.splitlines would also cut at U+2028 and U+0085, which JSON allows inside a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            faults: list[str] = []
            try:
                value = _decoder(faults).decode(line)
            except (ValueError, RecursionError) as error:
                value, faults = None, [f"is not JSON ({_reason(error)}); write one object a line, or one array"]
            yield Item(number, f"line {number}", value, tuple(faults))


def _array_items(text: str) -> Iterator[Item]:
    at, number = _skip_space(text, text.index("[") + 1), 0
    more = text[at : at + 1] != "]"
    while more:
        number += 1
        faults: list[str] = []
        try:
            value, at = _decoder(faults).raw_decode(text, at)
            at, more = _behind_item(text, at)
        except (ValueError, RecursionError) as error:
            yield Item(number, f"item {number}", None, (f"is not JSON ({_reason(error)}); mend the array there",))
            return
        yield Item(number, f"item {number}", value, tuple(faults))


def _behind_item(text: str, at: int) -> tuple[int, bool]:
    """Return where the text goes on behind an item that ends at `at`, and whether another item stands there."""
    at = _skip_space(text, at)
    if text[at : at + 1] == ",":
        return _skip_space(text, at + 1), True
    if text[at : at + 1] != "]":
        raise json.JSONDecodeError("Expecting ',' or ']' behind an item", text, at)
    end = _skip_space(text, at + 1)
    if end < len(text):
        raise json.JSONDecodeError("Extra data behind the array", text, end)
    return end, False


def _skip_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None
    return space.end()


def _decoder(faults: list[str]) -> json.JSONDecoder:
    """Return a decoder that notes in `faults` what plain `json` would let pass."""

    def whole(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        faults.extend(f"key {key!r} stands twice in one object; keep one of them" for key in twice)
        return dict(pairs)

    def constant(name: str) -> None:
        faults.append(f"{name} is not a JSON number; write null or a finite number")

    def finite(digits: str) -> float:
        if math.isinf(float(digits)):
            faults.append(f"the number {digits} is too large; write null or a finite number")
        return float(digits)

    return json.JSONDecoder(object_pairs_hook=whole, parse_constant=constant, parse_float=finite)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    line = f"line {error.lineno} " if error.lineno > 1 else ""
    return f"{line}column {error.colno}: {error.msg}"
