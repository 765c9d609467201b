"""An engine outside the package, found as `stub_engine:SizeReader`: pools and caches are tested without models."""

import hashlib
from pathlib import Path
from typing import ClassVar

import numpy as np

from kd_rag.types import TextLine


class SizeReader:
    """'Reads' a picture's size, and leaves one file per picture in `log`."""

    def __init__(self, *, log: str, version: str = "1") -> None:
        self.version = f"stub {version}"
        self._log = Path(log)

    def read(self, picture):
        name = hashlib.sha256(picture.tobytes()).hexdigest()
        assert not (self._log / name).exists(), "the same picture was read twice"
        (self._log / name).touch()
        width, height = picture.size
        return (TextLine(f"{width} x {height} 像素", 0.1 + 0.2, (0.0, 0.1, 1 / 3, 1.0)),) if width % 2 else ()


class ShadeReader:
    """'Reads' a picture's mean shade, and counts its readings."""

    version = "stub"
    readings: ClassVar[list[str]] = []

    def read(self, picture):
        text = f"shade {np.asarray(picture).mean():.4f}"
        self.readings.append(text)
        return (TextLine(text, 1.0, (0.0, 0.1, 1.0, 0.2)),)
