"""Reading records: a file in any of the formats -> checked Records, or every fault that it has.

Each fault is one sentence that names the file, the line or item, the id, what was found and what would be right. Pictures
are looked for in the file's own folder, which a path may not leave, and are made absolute; their headers are always
checked, their pixels only on demand, since decoding is a hundred times slower and is done anyway when they are used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kd_rag.data._formats_fields import Draft
from kd_rag.data.formats import Entry, read_entries
from kd_rag.pictures import check_picture, load_picture
from kd_rag.types import InputError, Record


def read_records(path: Path, *, decode: bool = False) -> list[Record]:
    """Return the records of a file in order; `decode` checks every pixel and not the pictures' headers alone.

    Raises InputError with the first fault.
    """
    records = []
    for found in _examine(path, decode):
        if isinstance(found, str):
            raise InputError(found)
        records.append(found)
    return records


def find_faults(path: Path) -> list[str]:
    """Return every fault of a file, its pictures decoded; an empty list means that the file can be used."""
    return [found for found in _examine(path, decode=True) if isinstance(found, str)]


def _examine(path: Path, decode: bool) -> Iterator[Record | str]:
    """Yield a Record for each good entry of a file, and all faults of each bad one."""
    folder = Path(os.path.realpath(path.parent))
    places: dict[str, str] = {}
    try:
        for entry in read_entries(path):
            yield from _examine_entry(entry, path, folder, places, decode)
            places.setdefault(_identity(entry, path), entry.place)
    except InputError as fault:
        yield str(fault)
        return
    if not places:
        yield f"{path}: holds no records; write one JSON object a line, or one array of objects"


def _examine_entry(
    entry: Entry, path: Path, folder: Path, places: dict[str, str], decode: bool
) -> Iterator[Record | str]:
    identity, draft, faults = _identity(entry, path), entry.draft, list(entry.faults)
    images = _find_pictures(draft, folder, decode, faults) if draft else ()
    if identity in places:
        faults.append(f"has the id of {places[identity]}; give every record its own")
    if draft is None or faults:
        yield from (f"{path}: {entry.place}, id {identity!r}: {fault}" for fault in faults)
    else:
        yield Record(identity, draft.task, draft.turns, images, draft.label, draft.metadata)


def _identity(entry: Entry, path: Path) -> str:
    """Return a record's id; where the format has none, the file's name and the record's number."""
    return (entry.draft and entry.draft.id) or f"{path.stem}-{entry.number}"


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
    if Path(name).is_absolute() or "\0" in name:
        raise InputError(f"is not a relative path; write where it lies as seen from {folder}")
    paths = list(dict.fromkeys(Path(os.path.realpath(folder / place / name)) for place in places))
    if not all(path.is_relative_to(folder) for path in paths):
        raise InputError(f"leads out of the record file's folder; put the picture into {folder}")
    lying = [path for path in paths if path.is_file()]
    if len(lying) != 1:
        wanted = " or ".join(str(path) for path in paths)
        raise InputError(f"is missing; it belongs to {wanted}" if not lying else f"lies twice, as {wanted}; keep one")
    return lying[0]
