"""Colour jitter: other light, other screen, other camera."""

from __future__ import annotations

import random
from functools import partial

from PIL import Image
from torchvision.transforms.v2 import functional

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._pictures import each_picture
from kd_rag.types import Dialogue


def colour_jitter(
    dialogue: Dialogue,
    rng: random.Random,
    *,
    probability: float = 0.5,
    brightness: float = 0.2,
    contrast: float = 0.2,
    saturation: float = 0.2,
    hue: float = 0.02,
) -> Dialogue:
    """Change brightness, contrast, saturation and hue of each picture, in this order.

    `probability` is each picture's chance to be changed. The first three are multiplied by a factor uniform in
    [1 - option, 1 + option]; the hue turns by a share of the colour circle uniform in [-`hue`, `hue`], where
    0.5 is half of it.
    """
    factors = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    check_range("colour_jitter", probability=probability, **factors)
    check_range("colour_jitter", highest=0.5, hue=hue)
    spans = (*factors.values(), hue)
    return each_picture(dialogue, rng, probability, partial(_jitter, spans=spans))


def _jitter(picture: Image.Image, rng: random.Random, spans: tuple[float, ...]) -> Image.Image:
    *factors, hue = spans
    changes = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
    for change, span in zip(changes, factors, strict=True):
        picture = change(picture, rng.uniform(1 - span, 1 + span))
    turned: Image.Image = functional.adjust_hue(picture, rng.uniform(-hue, hue))
    return turned
