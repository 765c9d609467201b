"""Gaussian noise: a sensor in a dark room."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
from PIL import Image

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._pictures import each_picture
from kd_rag.types import Dialogue


def noise(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, sigma: float = 0.08) -> Dialogue:
    """Add Gaussian noise to each pixel and channel, its standard deviation uniform in [0, `sigma`] of the full range.

    `probability` is each picture's chance to be changed. torchvision's own draws from torch's global stream, which a
    view may not depend on; NumPy's PCG64 draws the same everywhere.
    """
    check_range("noise", probability=probability, sigma=sigma)
    return each_picture(dialogue, rng, probability, partial(_noisy, sigma=sigma))


def _noisy(picture: Image.Image, rng: random.Random, sigma: float) -> Image.Image:
    spread = 255 * rng.uniform(0, sigma)
    pixels = np.asarray(picture, dtype=np.float32)
    added = np.random.default_rng(rng.getrandbits(64)).standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray((pixels + spread * added).round().clip(0, 255).astype(np.uint8))
