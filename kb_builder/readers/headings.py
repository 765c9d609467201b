"""Running text: .md and .txt, one passage under each heading, and the text above the first under the file's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kb_builder.readers import TEXT_KIND, Entry, Reading, text_of

_HEADING = re.compile(r"#{1,6}[ \t]+(.*?)[ \t#]*")
_FENCE = re.compile(r" {0,3}(```|~~~)")


def read_headings(path: Path, reading: Reading) -> Iterator[Entry]:
    """Yield the sections that have text."""
    sections, fenced = [(1, path.stem, list[str]())], False
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        fenced ^= bool(_FENCE.match(line))  # a '#' in a block of code is no heading
        if not fenced and (heading := _HEADING.fullmatch(line)):
            sections.append((number, heading[1], []))
        else:
            sections[-1][2].append(line)
    for number, title, body in sections:
        if text := "\n".join(body).strip():
            yield Entry(f"line {number}", {"kind": reading.kind or TEXT_KIND, "title": title, "text": text})
