"""Strict JSON, item by item: a JSON Lines file, line by line, or one JSON array -> numbered items with their faults.

Python's `json` lets pass what breaks later: NaN and numbers that overflow, and a key that stands twice (the last one
wins in silence). Here they are faults, and reading goes on behind them, so that one pass finds all of them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
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


def read_lines(path: Path) -> Iterator[str]:
    """Yield a file's lines one by one, ends included; a byte order mark is dropped.

    Raises InputError when the file cannot be read, or at the first line that is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: line {number}: is not UTF-8; save the file in that encoding") from None


def split_items(lines: Iterable[str]) -> Iterator[Item]:
    """Yield the items of an array if the text begins with `[`, else one item for each line that is not blank.

    Only an array is put together in memory.
    """
    rest, head = iter(lines), list[str]()
    for line in rest:
        head.append(line)
        if line.strip():
            break
    text = chain(head, rest)
    return _array_items("".join(text)) if head and head[-1].lstrip().startswith("[") else _line_items(text)


def _line_items(lines: Iterable[str]) -> Iterator[Item]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            faults: list[str] = []
            try:
                value = _decoder(faults).decode(line.removesuffix("\n"))  # faults name columns of one line
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
