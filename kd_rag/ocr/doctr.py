"""docTR: PyTorch models that find words and read them, Latin scripts only (the published vocabulary is French).

In: an RGB picture. Out: its lines in reading order. Source: https://github.com/mindee/doctr (Apache-2.0). The weights
are local files if options name them, else docTR's published ones.
"""

from __future__ import annotations

import pickle
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kd_rag.durable import file_digest
from kd_rag.ocr._reading_order import in_reading_order
from kd_rag.ocr._weights import published_files
from kd_rag.types import InputError, TextLine

_PARTS = ("detection", "recognition")


class DocTr:
    """Read Latin text with one model that finds words and one that reads them.

    `detection` and `recognition`: docTR's names of architectures. `detection_weights` and `recognition_weights`:
    files with the state dict of a model of that architecture; null takes docTR's published weights, downloaded
    once. `min_confidence`: words less certain are dropped.
    """

    def __init__(
        self,
        *,
        detection: str = "fast_base",
        recognition: str = "crnn_vgg16_bn",
        detection_weights: str | None = None,
        recognition_weights: str | None = None,
        min_confidence: float = 0.5,
    ) -> None:
        if not 0 <= min_confidence <= 1:
            raise InputError(f"ocr.min_confidence: is a number from 0 to 1, found {min_confidence}")
        given = zip(_PARTS, (detection_weights, recognition_weights), strict=True)
        self._weights = {part: Path(file).expanduser() for part, file in given if file is not None}
        digests = []
        for part, file in self._weights.items():
            if (digest := file_digest(file)) is None:
                raise InputError(f"ocr.{part}_weights: there is no file {file}")
            digests.append(digest[:16])
        self.version = " ".join(["python-doctr", version("python-doctr"), *digests])
        self._architectures = dict(zip(_PARTS, (detection, recognition), strict=True))
        self._min_confidence = min_confidence

    def read(self, picture: Image.Image) -> tuple[TextLine, ...]:
        """Return the lines of a picture; a line's confidence is the mean of its words'."""
        page = self._predictor([np.asarray(picture)]).pages[0]
        lines = (self._line(line) for block in page.blocks for line in block.lines)
        return in_reading_order(line for line in lines if line.text)

    def _line(self, found: Any) -> TextLine:
        words = [word for word in found.words if word.confidence >= self._min_confidence]
        confidence = sum(float(word.confidence) for word in words) / max(len(words), 1)
        left, top, right, bottom = (round(float(side), 4) for corner in found.geometry for side in corner)
        text = " ".join(word.value for word in words if word.value)
        return TextLine(text, round(confidence, 4), (left, top, right, bottom))

    @cached_property
    def _predictor(self) -> Any:
        from doctr.models import ocr_predictor  # takes many seconds, and a warm cache never needs it

        models = {part: _architecture(part, name) for part, name in self._architectures.items()}
        addresses = {part: model.cfg["url"] for part, model in models.items() if part not in self._weights}
        weights = {**self._weights, **published_files(addresses)}
        loaded = {part: _with_weights(part, model, weights[part]) for part, model in models.items()}
        return ocr_predictor(det_arch=loaded["detection"], reco_arch=loaded["recognition"])


def _architecture(part: str, name: str) -> Any:
    """Build a model without weights."""
    from doctr.models import detection, recognition

    room = {"detection": detection, "recognition": recognition}[part]
    if name not in room.zoo.ARCHS:
        raise InputError(f"ocr.{part}: docTR has no {name!r}; it has {', '.join(room.zoo.ARCHS)}")
    return getattr(room, name)(pretrained=False, pretrained_backbone=False)


def _with_weights(part: str, model: Any, file: Path) -> Any:
    """Load a state dict, and fuse FAST's convolutions as docTR does for the models it builds itself."""
    from doctr.models.detection.fast import FAST, reparameterize

    try:
        model.from_pretrained(str(file))
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError, TypeError, AttributeError):
        kind = type(model).__name__
        raise InputError(f"ocr.{part}_weights: {file} does not hold a state dict of this {kind}") from None
    return reparameterize(model) if isinstance(model, FAST) else model
