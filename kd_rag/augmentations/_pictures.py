"""What members share that change pictures: which pictures are changed, and torchvision's functions on them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from PIL import Image

from kd_rag.types import Dialogue

WHITE = (255, 255, 255)
"""What fills the corners that a picture leaves free, as the ground of a page."""


def each_picture(
    dialogue: Dialogue,
    rng: random.Random,
    probability: float,
    change: Callable[[Image.Image, random.Random], Image.Image],
) -> Dialogue:
    """Return `dialogue` with each picture changed with the chance `probability`; `change` keeps mode and size."""
    pictures = (change(p, rng) if rng.random() < probability else p for p in dialogue.pictures)
    return replace(dialogue, pictures=tuple(pictures))
