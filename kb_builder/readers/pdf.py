"""PDF: one passage a page. The text layer is taken where there is one; a page that is a picture goes through OCR.

Pages are rendered for the OCR family at 200 dots an inch and kept there by their pixels, so that a page is read once
however often its file is ingested.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from kb_builder.readers import TEXT_KIND, Entry, Reading, bytes_of
from kd_rag import registry
from kd_rag.types import InputError

_DOTS_AN_INCH = 200
_POINTS_AN_INCH = 72
_MAX_PIXELS = 25_000_000
"""A larger page is rendered coarser."""


def read_pdf(path: Path, reading: Reading) -> Iterator[Entry]:
    """Yield the pages that have text; `metadata.page` counts from 1."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(bytes_of(path))
    except pypdfium2.PdfiumError as error:
        reason = "a password protects it" if "Incorrect password" in str(error) else "it is damaged or no PDF"
        raise InputError(f"{path}: cannot be read as a PDF: {reason} ({error})") from None
    with closing(document):
        title = document.get_metadata_value("Title").strip() or path.stem
        for number in range(1, len(document) + 1):
            try:
                text = _page_text(document, number - 1, reading)
            except (pypdfium2.PdfiumError, InputError) as error:
                raise InputError(f"{path}: page {number}: {error}") from None
            if text:
                fields = {"kind": reading.kind or TEXT_KIND, "title": title, "text": text}
                yield Entry(f"page {number}", {**fields, "metadata": {"page": number}})


def _page_text(document: Any, index: int, reading: Reading) -> str:
    with closing(document[index]) as page, closing(page.get_textpage()) as layer:
        text: str = layer.get_text_range().replace("\r\n", "\n").replace("\x00", "").strip()
        if text or not any(True for _ in page.get_objects(max_depth=8)):
            return text
        if registry.build("ocr", reading.ocr).version is None:
            raise InputError("is a picture without text; name an engine that reads it, such as ocr.name=rapidocr")
        return _scanned_text(page, reading)


def _scanned_text(page: Any, reading: Reading) -> str:
    from kd_rag.ocr import read_pictures

    scale = _DOTS_AN_INCH / _POINTS_AN_INCH
    scale *= min(1.0, (_MAX_PIXELS / (page.get_width() * page.get_height() * scale**2)) ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        page.render(scale=scale).to_pil().convert("RGB").save(picture)
        cache = reading.cache_dir.expanduser() / "ocr"
        lines = read_pictures([picture], reading.ocr, cache, processes=1)[picture]
    return "\n".join(line.text for line in lines)
