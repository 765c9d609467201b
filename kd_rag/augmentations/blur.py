"""Gaussian blur: a camera out of focus."""

from __future__ import annotations

import random
from functools import partial

from PIL import Image
from torchvision.transforms.v2 import functional

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._pictures import each_picture
from kd_rag.types import Dialogue


def blur(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, sigma: float = 0.004) -> Dialogue:
    """Blur each picture with a Gaussian whose standard deviation is uniform in [0, `sigma`] of the shorter side.

    `probability` is each picture's chance to be changed. A share, not pixels, so that a thumbnail and a photograph
    lose as much.
    """
    check_range("blur", probability=probability)
    check_range("blur", highest=0.1, sigma=sigma)
    return each_picture(dialogue, rng, probability, partial(_blur, sigma=sigma))


def _blur(picture: Image.Image, rng: random.Random, sigma: float) -> Image.Image:
    shorter = min(picture.size)
    pixels = rng.uniform(0, sigma) * shorter
    reach = min(round(3 * pixels), shorter - 1)  # the border is mirrored, which reaches no further than a side
    if reach == 0:
        return picture
    blurred: Image.Image = functional.gaussian_blur(picture, [2 * reach + 1] * 2, [pixels] * 2)
    return blurred
