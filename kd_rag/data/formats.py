"""The record formats: a file -> one Entry for each record in it, with what is wrong with it.

Three formats are told apart by a record's own keys, never by the file's name: ours (`turns`), LLaMA-Factory's ShareGPT
style (`messages` or `conversations`) and the challenge's (`instruction`). Each may stand in JSON Lines or in one array.
Pictures are not looked at here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from kd_rag.data._formats_fields import Draft, Fields, closest, nearest, read_fields, read_reasons, shown
from kd_rag.data._formats_json import Item, read_lines, split_items
from kd_rag.data._formats_mdsirc import read_mdsirc
from kd_rag.data._formats_ocr import read_ocr
from kd_rag.data._formats_sharegpt import read_sharegpt
from kd_rag.types import IMAGE_MARKER, Role, Turn

_ROLES: dict[str, Role] = {"user": "user", "agent": "agent"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a file as far as it could be read; `draft` is to be trusted only where `faults` is empty."""

    number: int
    place: str
    draft: Draft | None
    faults: tuple[str, ...]


def read_entries(path: Path) -> Iterator[Entry]:
    """Yield the records of a file in order.

    Raises InputError when the file cannot be read or is not UTF-8 text.
    """
    for item in split_items(read_lines(path)):
        draft, faults = _read_item(item)
        yield Entry(item.number, item.place, draft, (*item.faults, *faults))


def read_contract(item: Fields) -> Draft:
    """Read an object of our own format; all but `id`, `task` and `turns` may be missing or null."""
    return Draft(
        id=item.name("id"),
        task=item.name("task"),
        turns=tuple(item.each("turns", _turn)),
        images=item.strings("images", item.optional("images", list) or []),
        label=item.optional("label", str),
        metadata=item.optional("metadata", dict) or {},
        ocr=read_ocr(item),
        reasons=read_reasons(item),
    )


_READERS: dict[str, Callable[[Fields], Draft]] = {
    "turns": read_contract,
    "messages": read_sharegpt,
    "conversations": read_sharegpt,
    "instruction": read_mdsirc,
}
"""The key that tells a format, and the format's reader."""


def _read_item(item: Item) -> tuple[Draft | None, list[str]]:
    value = item.value
    if not isinstance(value, dict):
        return None, [] if item.faults else [f"expected an object, found {shown(value)}"]
    faults = [
        f"{key}: holds half a surrogate pair, which is no character; write the whole character"
        for key, member in value.items()
        if _has_lone_surrogate({key: member})
    ]
    mark = next((mark for mark in _READERS if mark in value), None)
    if mark is None:
        near = next(filter(None, (nearest(key, _READERS) for key in value)), "")
        marks, keys = ", ".join(_READERS), shown(list(value))
        return None, [*faults, f"has none of the keys {marks}, which tell the format; it has {keys}{near}"]
    draft = read_fields(value, _READERS[mark], faults)
    faulty = {re.split(r"[.:[]", fault)[0] for fault in faults}
    return draft, [*faults, *(fault for keys, fault in _contradictions(draft) if not faulty & keys)]


_TURNS = frozenset(["turns", "messages", "conversations", "instruction"])
_IMAGES = frozenset(["images", "image"])
_LABEL = frozenset(["label", "output", "messages", "conversations"])
_LISTED = frozenset(["metadata", "instruction"])
"""The keys that hold a part of a record, in any of the formats."""


def _contradictions(draft: Draft) -> Iterator[tuple[frozenset[str], str]]:
    """Yield what is wrong between the fields of a record, with the keys that have to be well formed to tell."""
    if not draft.turns and not draft.images:
        yield _TURNS | _IMAGES, "has no turns and no images; it needs one of them"
    marks = sum(turn.text.count(IMAGE_MARKER) for turn in draft.turns)
    if marks > len(draft.images):
        marked = f"has {marks} {IMAGE_MARKER} marks in its turns for {len(draft.images)} images"
        yield _TURNS | _IMAGES, f"{marked}; name the missing ones"
    if draft.ocr is not None and len(draft.ocr) != len(draft.images):
        entries = f"has {len(draft.ocr)} entries for {len(draft.images)} images"
        yield _IMAGES | {"ocr"}, f"ocr: {entries}; give each one, null for no text"
    label = draft.label
    if label is not None and (not label or label != label.strip()):
        yield _LABEL, f"label: is {shown(label)}; write it without spaces around it, or null for a record without one"
    if "labels" not in draft.metadata:
        return
    labels = draft.metadata["labels"]
    if not _are_labels(labels):
        yield _LISTED, f"metadata.labels: expected different strings that are not empty, found {shown(labels)}"
    elif label is not None and label not in labels:
        near = closest(label, labels)
        unlisted = f"{label!r} is not one of the {len(labels)} labels that the record lists"
        yield _LABEL | _LISTED, f"label: {unlisted}; the nearest is {near!r}"


def _are_labels(value: Any) -> TypeGuard[list[str]]:
    strings = isinstance(value, list) and all(isinstance(label, str) and label.strip() for label in value)
    return strings and 0 < len(value) == len(set(value))


def _turn(item: Fields) -> Turn:
    return Turn(item.choice("role", _ROLES), item.needed("text", str))


def _has_lone_surrogate(value: Mapping[str, Any]) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
