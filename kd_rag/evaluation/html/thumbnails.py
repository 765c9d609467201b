"""Pictures small enough to travel inside a page, with the boxes of the text that was read from them.

In: a picture's path and lines. Out: a JPEG in the page, and an SVG of boxes over it that the reader may switch off.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from kd_rag.evaluation.html.markup import Markup, tag
from kd_rag.pictures import load_picture
from kd_rag.types import InputError, TextLine

WIDTH, HEIGHT = 360, 560
"""Largest picture on the page, in pixels."""
QUALITY = 70


def thumbnail(path: Path, lines: Sequence[TextLine], number: int) -> Markup:
    """Return a picture with its boxes, or a sentence where the file is no picture any more."""
    try:
        picture = load_picture(path)
    except InputError as error:
        return tag("p", f"Picture {number} cannot be shown: {error}.", class_="fault")
    picture.thumbnail((WIDTH, HEIGHT), reducing_gap=2.0)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, optimize=True)
    data = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    width, height = picture.size
    image = tag("img", src=data, alt=f"picture {number} of the record", width=width, height=height, loading="lazy")
    return tag("div", image, _boxes(lines), class_="picture", style=f"aspect-ratio:{width}/{height};width:{width}px")


def _boxes(lines: Sequence[TextLine]) -> Markup | None:
    """Return the boxes on a drawing that has the picture's size as its unit."""
    if not lines:
        return None
    drawn = []
    for line in lines:
        left, top, right, bottom = (1000 * edge for edge in line.box)
        told = tag("title", f"{line.text} ({line.confidence:.2f})")
        drawn.append(tag("rect", told, x=left, y=top, width=max(right - left, 1.0), height=max(bottom - top, 1.0)))
    box = {"viewBox": "0 0 1000 1000", "preserveAspectRatio": "none"}
    return tag("svg", *drawn, class_="boxes", role="img", aria_label=f"{len(lines)} lines of text were read", **box)
