"""Rotation by small angles: a phone held askew over a receipt."""

from __future__ import annotations

import random
from functools import partial

from PIL import Image
from torchvision.transforms.v2 import InterpolationMode, functional

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._pictures import WHITE, each_picture
from kd_rag.types import Dialogue


def rotate(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, degrees: float = 8) -> Dialogue:
    """Turn each picture about its centre by an angle uniform in [-`degrees`, `degrees`], on a white ground.

    `probability` is each picture's chance to be turned. Its size stays, so what the corners held is lost.
    """
    check_range("rotate", probability=probability)
    check_range("rotate", highest=180, degrees=degrees)
    return each_picture(dialogue, rng, probability, partial(_rotate, degrees=degrees))


def _rotate(picture: Image.Image, rng: random.Random, degrees: float) -> Image.Image:
    angle = rng.uniform(-degrees, degrees)
    turned: Image.Image = functional.rotate(picture, angle, interpolation=InterpolationMode.BICUBIC, fill=WHITE)
    return turned
