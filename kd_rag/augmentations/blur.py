"""Gaussian blur: a camera out of focus."""

from __future__ import annotations

import random
from functools import partial

from PIL import Image, ImageFilter

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._pictures import each_picture
from kd_rag.types import Dialogue


def blur(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, sigma: float = 0.004) -> Dialogue:
    """Blur each picture with a Gaussian whose standard deviation is uniform in [0, `sigma`] of the shorter side.

    `probability` is each picture's chance to be changed. A share, not pixels, so that a thumbnail and a photograph
    lose as much. Pillow's own filter counts in integers; torchvision's rounds otherwise on another processor.
    """
    check_range("blur", probability=probability)
    check_range("blur", highest=0.1, sigma=sigma)
    return each_picture(dialogue, rng, probability, partial(_blur, sigma=sigma))


def _blur(picture: Image.Image, rng: random.Random, sigma: float) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, sigma) * min(picture.size)))
