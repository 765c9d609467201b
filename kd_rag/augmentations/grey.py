"""Greyscale: a picture without its colours."""

from __future__ import annotations

import random

from PIL import Image
from torchvision.transforms.v2 import functional

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._pictures import each_picture
from kd_rag.types import Dialogue


def grey(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.1) -> Dialogue:
    """Take the colours from each picture with the chance `probability`; it stays RGB."""
    check_range("grey", probability=probability)
    return each_picture(dialogue, rng, probability, _grey)


def _grey(picture: Image.Image, rng: random.Random) -> Image.Image:
    without: Image.Image = functional.rgb_to_grayscale(picture, num_output_channels=3)
    return without
