"""JPEG quality: a picture that was sent on and on."""

from __future__ import annotations

import io
import random
from functools import partial

from PIL import Image

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._pictures import each_picture
from kd_rag.types import Dialogue, InputError

_MAX_SIDE_PIXELS = 65_500
"""Longest side that libjpeg writes."""


def jpeg(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, min_quality: int = 20) -> Dialogue:
    """Compress each picture as JPEG with a quality uniform in [`min_quality`, 95].

    `probability` is each picture's chance to be compressed; qualities go from 1 to 95. A side of
    over 65,500 pixels is more than JPEG can hold, and such a picture stays.
    """
    check_range("jpeg", probability=probability)
    if not 1 <= min_quality <= 95:
        raise InputError(f"augmentations jpeg: min_quality is a number from 1 to 95, found {min_quality}")
    return each_picture(dialogue, rng, probability, partial(_compress, min_quality=min_quality))


def _compress(picture: Image.Image, rng: random.Random, min_quality: int) -> Image.Image:
    if max(picture.size) > _MAX_SIDE_PIXELS:
        return picture
    # Pillow's own codec: torchvision's is deprecated.
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=rng.randint(min_quality, 95))
    return Image.open(file).convert("RGB")
