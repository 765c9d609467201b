"""Reading records: a file in any of the formats -> checked Records, or every fault that it has.

Each fault is one sentence that names the file, the line or item, the id, what was found and what would be right.
Pictures are looked for in the file's own folder, which a path may not leave, and are made absolute. Their headers are
always checked, their pixels only on demand: decoding is far slower, and is done anyway when a picture is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kd_rag.data._formats_fields import Draft
from kd_rag.data.formats import read_entries
from kd_rag.pictures import check_picture, load_picture
from kd_rag.types import InputError, Record


@dataclass(frozen=True, slots=True)
class BadRecord:
    """An entry of a record file that is no record; `id` is None where it could not be read."""

    path: Path
    place: str
    id: str | None
    faults: tuple[str, ...]

    def sentences(self) -> list[str]:
        """Return each fault with where it is."""
        identity = "" if self.id is None else f", id {self.id!r}"
        return [f"{self.path}: {self.place}{identity}: {fault}" for fault in self.faults]


def read_records(path: Path, *, decode: bool = False) -> list[Record]:
    """Return the records of a file in order; `decode` checks every pixel and not the pictures' headers alone.

    Raises InputError with the first fault.
    """
    records = []
    for found in examine(path, decode=decode):
        if isinstance(found, BadRecord):
            raise InputError(found.sentences()[0])
        records.append(found)
    return records


def find_faults(path: Path) -> list[str]:
    """Return every fault of a file, its pictures decoded; an empty list means that the file can be used."""
    faults: list[str] = []
    try:
        for found in examine(path, decode=True):
            faults += found.sentences() if isinstance(found, BadRecord) else []
    except InputError as fault:
        faults.append(str(fault))
    return faults


def examine(path: Path, *, decode: bool) -> Iterator[Record | BadRecord]:
    """Yield, in the file's order, a Record for each good entry and a BadRecord for each other one.

    Raises InputError when the file cannot be read or holds no entries.
    """
    folder, empty = Path(os.path.realpath(path.parent)), True
    places: dict[str, str] = {}
    spellings: dict[tuple[str, str], tuple[str, str]] = {}
    for entry in read_entries(path):
        empty, draft, faults = False, entry.draft, list(entry.faults)
        identity = None
        if draft is not None:
            identity = draft.id or f"{path.stem}-{entry.number}"
            images = _find_pictures(draft, folder, decode, faults)
            if identity in places:
                faults.append(f"{places[identity]} has the same id; give every record its own")
            places.setdefault(identity, entry.place)
            faults += _other_case(draft, entry.place, spellings)
            if not faults:
                parts = draft.metadata, draft.ocr, draft.reasons
                yield Record(identity, draft.task, draft.turns, images, draft.label, *parts)
        if faults:
            yield BadRecord(path, entry.place, identity, tuple(faults))
    if empty:
        raise InputError(f"{path}: holds no records; write one JSON object a line, or one array of objects")


def _other_case(draft: Draft, place: str, spellings: dict[tuple[str, str], tuple[str, str]]) -> list[str]:
    """Return what is wrong with a label that differs from an earlier one of its task in its letters' case alone.

    `spellings` holds the first spelling of each label and its place.
    """
    if draft.label is None:
        return []
    first, where = spellings.setdefault((draft.task, draft.label.casefold()), (draft.label, place))
    return [] if first == draft.label else [f"label: is {draft.label!r}, and {first!r} in {where}; write both alike"]


def _find_pictures(draft: Draft, folder: Path, decode: bool, faults: list[str]) -> tuple[Path, ...]:
    """Return the pictures of a record, looked at; what is wrong with them is added to `faults`."""
    found = []
    for name in draft.images:
        try:
            picture = _find_picture(name, folder, draft.folders)
            (load_picture if decode else check_picture)(picture)
            found.append(picture)
        except InputError as fault:
            faults.append(f"image {name!r}: {fault}")
    return tuple(found)


def _find_picture(name: str, folder: Path, places: tuple[str, ...]) -> Path:
    if Path(name).is_absolute():
        raise InputError(f"is not a relative path; write where it lies as seen from {folder}")
    try:
        paths = list(dict.fromkeys(Path(os.path.realpath(folder / place / name)) for place in places))
        lying = [path for path in paths if path.is_file()]
    except (OSError, ValueError) as error:  # too long, or with characters that no file name has
        raise InputError(f"cannot be a file's name ({error}); rename it") from None
    if not all(path.is_relative_to(folder) for path in paths):
        raise InputError(f"leads out of the record file's folder; put the picture into {folder}")
    if not lying:
        raise InputError(f"is missing; it belongs to {' or '.join(map(str, paths))}")
    if len(lying) > 1:
        raise InputError(f"lies twice, as {' and '.join(map(str, lying))}; keep one of them")
    return lying[0]
