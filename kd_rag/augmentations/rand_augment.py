"""RandAugment: a few operations drawn from a list, at one magnitude (Cubuk et al. 2020)."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from PIL import Image
from torchvision.transforms.v2 import InterpolationMode, functional

from kd_rag.augmentations._options import check_count, check_range
from kd_rag.augmentations._pictures import WHITE, each_picture
from kd_rag.types import Dialogue


def rand_augment(
    dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, operations: int = 2, magnitude: float = 0.3
) -> Dialogue:
    """Apply `operations` of the paper's list to each picture, one behind another, each as strong as `magnitude` says.

    `probability` is each picture's chance to be changed. At `magnitude` 1 a picture is turned by 30 degrees, sheared
    by 0.3 along x, shifted by 45% of a side, or changed by 90% in brightness, contrast, colour or sharpness, in either
    direction; posterised to 4 bits, solarised throughout; auto-contrast and equalisation have no strength. Where
    places matter little, 0.3 leaves text readable.
    """
    check_range("rand_augment", probability=probability, magnitude=magnitude)
    check_count("rand_augment", operations=operations)
    return each_picture(dialogue, rng, probability, partial(_changed, operations=operations, magnitude=magnitude))


def _changed(picture: Image.Image, rng: random.Random, operations: int, magnitude: float) -> Image.Image:
    for _ in range(operations):
        picture = rng.choice(_OPERATIONS)(picture, rng.choice((-1, 1)) * magnitude)
    return picture


def _moved(
    picture: Image.Image, angle: float = 0, shift: tuple[float, float] = (0, 0), shear: float = 0
) -> Image.Image:
    """Turn by `angle` degrees, shift by shares of the sides and shear along x by `shear` degrees."""
    moved: Image.Image = functional.affine(
        picture,
        angle=angle,
        translate=[round(shift[0] * picture.width), round(shift[1] * picture.height)],
        scale=1,
        shear=[shear, 0],
        interpolation=InterpolationMode.BILINEAR,
        fill=WHITE,
    )
    return moved


_OPERATIONS: tuple[Callable[[Image.Image, float], Image.Image], ...] = (
    lambda picture, strength: _moved(picture, angle=30 * strength),
    lambda picture, strength: _moved(picture, shift=(0.45 * strength, 0)),
    lambda picture, strength: _moved(picture, shift=(0, 0.45 * strength)),
    lambda picture, strength: _moved(picture, shear=16.7 * strength),  # degrees, whose tangent is 0.3
    lambda picture, strength: functional.adjust_brightness(picture, 1 + 0.9 * strength),
    lambda picture, strength: functional.adjust_contrast(picture, 1 + 0.9 * strength),
    lambda picture, strength: functional.adjust_saturation(picture, 1 + 0.9 * strength),
    lambda picture, strength: functional.adjust_sharpness(picture, 1 + 0.9 * strength),
    lambda picture, strength: functional.posterize(picture, 8 - round(4 * abs(strength))),
    lambda picture, strength: functional.solarize(picture, 256 * (1 - abs(strength))),
    lambda picture, _: functional.autocontrast(picture),
    lambda picture, _: functional.equalize(picture),
)
"""Picture, signed strength in [-1, 1] -> picture."""
