"""PDF: one passage a page. The text layer is taken where there is one; a page that is a picture goes through OCR.

Pages are rendered for the OCR family at 200 dots an inch and kept there by their pixels, so that a page is read once
however often its file is ingested.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
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


def render_scans(files: Iterable[Path], folder: Path) -> Iterator[Path]:
    """Save each page of PDF files that is a picture in `folder`, as `read_pdf` renders it, and yield its path.

    A file that cannot be read ends here; its fault is for `read_pdf` to tell.
    """
    import pypdfium2

    count = 0
    for file in files:
        with suppress(pypdfium2.PdfiumError), closing(pypdfium2.PdfDocument(bytes_of(file))) as document:
            for index in range(len(document)):
                with closing(document[index]) as page:
                    if not _layer_text(page) and _has_content(page):
                        count += 1
                        yield _rendered(page, folder / f"{count}.png")


def _page_text(document: Any, index: int, reading: Reading) -> str:
    with closing(document[index]) as page:
        text = _layer_text(page)
        if text or not _has_content(page):
            return text
        if registry.build("ocr", reading.ocr).version is None:
            raise InputError("is a picture without text; name an engine that reads it, such as ocr.name=rapidocr")
        return _scanned_text(page, reading)


def _layer_text(page: Any) -> str:
    with closing(page.get_textpage()) as layer:
        text: str = layer.get_text_range().replace("\r\n", "\n").replace("\x00", "").strip()
        return text


def _has_content(page: Any) -> bool:
    return any(True for _ in page.get_objects(max_depth=8))


def _scanned_text(page: Any, reading: Reading) -> str:
    from kd_rag.ocr import read_pictures

    with tempfile.TemporaryDirectory() as folder:
        picture = _rendered(page, Path(folder) / "page.png")
        lines = read_pictures([picture], reading.ocr, reading.texts_dir, processes=1)[picture]
    return "\n".join(line.text for line in lines)


def _rendered(page: Any, file: Path) -> Path:
    scale = _DOTS_AN_INCH / _POINTS_AN_INCH
    scale *= min(1.0, (_MAX_PIXELS / (page.get_width() * page.get_height() * scale**2)) ** 0.5)
    page.render(scale=scale).to_pil().convert("RGB").save(file)
    return file
