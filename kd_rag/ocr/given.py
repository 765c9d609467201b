"""No reading: the text of the pictures that a record file brings itself, from another engine or from a transcript."""

from __future__ import annotations

from PIL import Image

from kd_rag.types import InputError, Record, TextLine


class GivenText:
    """Take the lines that records bring under `ocr`; no picture is read."""

    version = None

    def read(self, picture: Image.Image) -> tuple[TextLine, ...]:
        """Return no lines: a picture without its record brings none."""
        return ()

    def lines_of(self, record: Record) -> tuple[tuple[TextLine, ...], ...]:
        """Return the lines of each of a record's pictures; raise InputError where it has pictures and no lines."""
        if record.ocr is None and record.images:
            raise InputError(
                f"record {record.id!r}: has pictures and no `ocr`; give it their text, or name an engine that reads "
                f"them, such as ocr.name=rapidocr"
            )
        return record.ocr or ()
