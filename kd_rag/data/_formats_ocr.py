"""The text of its pictures that a record may bring, under `ocr`: one entry for each image -> lines.

An entry is the whole text, a list of lines, or null where a picture has none. A line is a string or an object `{text,
confidence, box}`: confidence from 0 to 1 (1 where it is missing), box as `[left, top, right, bottom]` in shares of the
picture. Lines without a box lie below one another in equal rows.
"""

from __future__ import annotations

from typing import Any

from kd_rag.data._formats_fields import Fields, shown
from kd_rag.types import TextLine

Box = tuple[float, float, float, float]


def read_ocr(item: Fields) -> tuple[tuple[TextLine, ...], ...] | None:
    """Return the lines of each image in the order given, or None where the record brings no `ocr`."""
    entries = item.optional("ocr", list)
    return None if entries is None else tuple(_page(item, f"ocr[{i}]", entry) for i, entry in enumerate(entries))


def _page(item: Fields, name: str, entry: Any) -> tuple[TextLine, ...]:
    rows = entry.split("\n") if isinstance(entry, str) else entry
    if rows is None:
        return ()
    if not isinstance(rows, list):
        item.note(name, f"expected the text, a list of lines or null, found {shown(entry)}")
        return ()
    lines = []
    for i, row in enumerate(rows):
        place = (0.0, i / len(rows), 1.0, (i + 1) / len(rows))
        if isinstance(row, dict):
            lines.append(item.inside(f"{name}[{i}]", row, lambda fields, place=place: _line(fields, place)))  # type: ignore[misc]
        elif isinstance(row, str):
            lines.append(TextLine(row, 1.0, place))
        else:
            item.note(f"{name}[{i}]", f"expected a string or an object, found {shown(row)}")
    return tuple(line for line in lines if line.text.strip())


def _line(item: Fields, place: Box) -> TextLine:
    text, confidence, box = item.needed("text", str), item.number("confidence"), item.optional("box", list)
    if confidence is not None and not 0 <= confidence <= 1:
        item.note("confidence", f"expected a number from 0 to 1, found {confidence}")
    if box is not None and not _is_box(box):
        item.note("box", f"expected [left, top, right, bottom] as shares from 0 to 1, found {shown(box)}")
    sides = place if box is None or not _is_box(box) else (box[0], box[1], box[2], box[3])
    return TextLine(text, 1.0 if confidence is None else confidence, sides)


def _is_box(box: list[Any]) -> bool:
    if len(box) != 4 or not all(isinstance(side, int | float) for side in box):
        return False
    left, top, right, bottom = box
    return bool(0 <= left <= right <= 1 and 0 <= top <= bottom <= 1)
