"""RapidOCR: the PP-OCR models in ONNX, carried by the package; Chinese and English, no download.

In: an RGB picture. Out: its lines in reading order. Source: https://github.com/RapidAI/RapidOCR (Apache-2.0). One
thread a process: two cost half as much again in all, so it is pictures that are spread over the cores.
"""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import version
from typing import Any

from PIL import Image

from kd_rag.ocr._reading_order import in_reading_order
from kd_rag.types import InputError, TextLine

_MAX_ASPECT = 8
_MIN_SIDE_PIXELS = 32


class RapidOcr:
    """Read Chinese and English text, about 0.5 s a small page and 1.3 s a full phone screenshot on one core.

    `min_confidence`: lines less certain are dropped. `limit_side_pixels`: a picture whose shorter side is less is
    enlarged to it when lines are searched (larger finds smaller print, and costs). `use_angle_classifier`:
    turn lines that stand on their head; needed for photographs, not for screenshots.
    """

    def __init__(
        self,
        *,
        min_confidence: float = 0.5,
        limit_side_pixels: int = 480,
        use_angle_classifier: bool = False,
    ) -> None:
        if not 0 <= min_confidence <= 1:
            raise InputError(f"ocr.min_confidence: is a number from 0 to 1, found {min_confidence}")
        if limit_side_pixels < _MIN_SIDE_PIXELS:
            raise InputError(f"ocr.limit_side_pixels: is {_MIN_SIDE_PIXELS} or more, found {limit_side_pixels}")
        self.version = f"rapidocr {version('rapidocr')}"  # the models come with the package
        self._settings = {
            "Global.log_level": "critical",  # it warns of every picture without text
            "Global.text_score": min_confidence,
            "Global.use_cls": use_angle_classifier,
            "Det.limit_type": "min",
            "Det.limit_side_len": limit_side_pixels,
            # One thread gains nothing from a batch, and loses the padding of short lines to the longest.
            "Rec.rec_batch_num": 1,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }

    def read(self, picture: Image.Image) -> tuple[TextLine, ...]:
        """Return the lines of a picture of any size; a very long or tiny one is read on a larger white ground."""
        found = self._reader(_on_ground(picture))
        if found.txts is None:
            return ()
        lines = zip(found.txts, found.scores, found.boxes, strict=True)
        return in_reading_order(
            TextLine(text, round(float(score), 4), _box(corners, picture.size)) for text, score, corners in lines
        )

    @cached_property
    def _reader(self) -> Any:
        from rapidocr import RapidOCR  # takes a second, and a warm cache never needs it

        return RapidOCR(params=self._settings)


def _on_ground(picture: Image.Image) -> Image.Image:
    """Extend the picture to the right and below, so that its sides are at least 32 pixels and at most 1 : 8.

    RapidOCR refuses strips whose short side vanishes when the long one is reduced, and would enlarge the others
    until their short side has `limit_side_pixels`.
    """
    least = max(_MIN_SIDE_PIXELS, -(-max(picture.size) // _MAX_ASPECT))
    size = (max(picture.width, least), max(picture.height, least))
    if size == picture.size:
        return picture
    ground = Image.new("RGB", size, "white")
    ground.paste(picture)
    return ground


def _box(corners: Any, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the upright box around four corners in pixels, as shares of the picture's size."""
    left, top = (float(share) for share in corners.min(axis=0) / size)
    right, bottom = (float(share) for share in corners.max(axis=0) / size)
    return round(left, 4), round(top, 4), round(min(right, 1.0), 4), round(min(bottom, 1.0), 4)
