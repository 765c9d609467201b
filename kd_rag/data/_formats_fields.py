"""A JSON object's fields, checked as they are taken: one mapping -> typed values, and every fault on the way.

A field that is missing or of another type gives the empty value of its type, so that reading goes on and one pass finds
all faults; whoever reads throws the result away when there are any. The keys that were asked for are the valid ones:
no second list of them exists.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from kd_rag.types import TextLine, Turn

T = TypeVar("T")

_KINDS: dict[type, str] = {str: "a string", list: "a list", dict: "an object"}
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Draft:
    """A record as it is written: its pictures are names still, to be looked for in each of `folders`.

    `id` is None where the format has none; `folders` are relative to the folder of the record file.
    """

    id: str | None
    task: str
    turns: tuple[Turn, ...]
    images: tuple[str, ...]
    label: str | None
    metadata: Mapping[str, Any]
    folders: tuple[str, ...] = ("",)
    ocr: tuple[tuple[TextLine, ...], ...] | None = None
    reasons: str | None = None


class Fields:
    """The fields of one object; `name` is the path that leads to it, such as `turns[2].`."""

    def __init__(self, value: Mapping[str, Any], faults: list[str], name: str = "") -> None:
        self.value = value
        self._faults = faults
        self._name = name
        self._taken: list[str] = []

    def note(self, key: str, fault: str) -> None:
        """Add a fault about `key`."""
        self._faults.append(f"{self._name}{key}: {fault}")

    def needed(self, key: str, kind: type[T]) -> T:
        """Return the value of a key that must be there."""
        self._taken.append(key)
        if key not in self.value:
            self.note(key, f"is missing; it holds {_KINDS[kind]}")
            return kind()
        return self._checked(key, self.value[key], kind)

    def optional(self, key: str, kind: type[T]) -> T | None:
        """Return the value of a key, or None where the key is missing or null."""
        self._taken.append(key)
        value = self.value.get(key)
        return None if value is None else self._checked(key, value, kind)

    def name(self, key: str) -> str:
        """Return the value of a key that must be there and hold more than spaces."""
        text = self.needed(key, str)
        if self.value.get(key) == text and not text.strip():
            self.note(key, f"is empty; give the record its {key}")
        return text

    def choice(self, key: str, meanings: Mapping[str, T]) -> T:
        """Return what the string under `key` means."""
        text = self.needed(key, str)
        if self.value.get(key) == text and text not in meanings:
            self.note(key, f"expected {_either(meanings)}, found {shown(text)}{nearest(text, meanings)}")
        return meanings.get(text, next(iter(meanings.values())))

    def strings(self, key: str, values: list[Any]) -> tuple[str, ...]:
        """Return the strings of a list that should hold nothing else."""
        checked = [self._checked(f"{key}[{i}]", value, str) for i, value in enumerate(values)]
        return tuple(text for text, value in zip(checked, values, strict=True) if isinstance(value, str))

    def each(self, key: str, read: Callable[[Fields], T]) -> list[T]:
        """Return what `read` makes of every object in the list under `key`."""
        found = []
        for i, member in enumerate(self.needed(key, list)):
            if isinstance(member, dict):
                found.append(self.inside(f"{key}[{i}]", member, read))
            else:
                self._checked(f"{key}[{i}]", member, dict)
        return found

    def inside(self, place: str, value: Mapping[str, Any], read: Callable[[Fields], T]) -> T:
        """Return what `read` makes of an object that lies at `place` in this one."""
        return read_fields(value, read, self._faults, f"{self._name}{place}.")

    def number(self, key: str) -> float | None:
        """Return the number under a key, or None where the key is missing or null."""
        self._taken.append(key)
        value = self.value.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            self.note(key, f"expected a number, found {shown(value)}")
            return None
        return value

    def note_unknown(self) -> None:
        """Note every key that nobody asked for."""
        for key in self.value:
            if key not in self._taken:
                near = nearest(key, self._taken)
                self.note(key, f"is not a key of this format{near or '; it has ' + ', '.join(self._taken)}")

    def _checked(self, key: str, value: Any, kind: type[T]) -> T:
        if isinstance(value, kind):
            return value
        self.note(key, f"expected {_KINDS[kind]}, found {shown(value)}")
        return kind()


def read_fields(value: Mapping[str, Any], read: Callable[[Fields], T], faults: list[str], name: str = "") -> T:
    """Return what `read` makes of an object; faults, unknown keys among them, are added to `faults`."""
    fields = Fields(value, faults, name)
    result = read(fields)
    fields.note_unknown()
    return result


def read_reasons(item: Fields) -> str | None:
    """Return why a record has its label, or None where it does not say."""
    reasons = item.optional("reasons", str)
    if reasons is not None and reasons == item.value["reasons"] and not reasons.strip():
        item.note("reasons", "is empty; write why the record has its label, or null for none")
    return None if reasons is None else reasons.strip()


def shown(value: Any) -> str:
    """Return a value as JSON, cut to what a message can hold."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace").decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def nearest(key: str, valid: Iterable[str]) -> str:
    """Return `; did you mean …?` for the valid key that `key` seems to be a slip of, or nothing."""
    near = difflib.get_close_matches(key, list(valid), n=1, cutoff=0.75)
    return f"; did you mean {near[0]!r}?" if near else ""


def closest(word: str, valid: Iterable[str]) -> str:
    """Return the valid word most like `word`, however unlike it is."""
    return difflib.get_close_matches(word, list(valid), n=1, cutoff=0.0)[0]


def _either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"
