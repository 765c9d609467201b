"""Random crop: a part of each picture, enlarged to the picture's size."""

from __future__ import annotations

import math
import random
from functools import partial

from PIL import Image
from torchvision.transforms.v2 import InterpolationMode, functional

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._pictures import each_picture
from kd_rag.types import Dialogue


def crop(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, min_area: float = 0.7) -> Dialogue:
    """Cut away up to 1 - `min_area` of each picture's area, keeping its proportions and its size in pixels.

    `probability` is each picture's chance to be cropped. The share that stays is uniform in [`min_area`, 1], and so is
    its place. Text at the border may go; the prompt has the original's, unless `ocr.of_augmented` is on.
    """
    check_range("crop", probability=probability, min_area=min_area)
    return each_picture(dialogue, rng, probability, partial(_crop, min_area=min_area))


def _crop(picture: Image.Image, rng: random.Random, min_area: float) -> Image.Image:
    side = math.sqrt(rng.uniform(min_area, 1))
    # At least one pixel: with min_area 0 the share may be 0.
    width, height = (max(1, math.ceil(side * pixels)) for pixels in picture.size)
    left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
    size = [picture.height, picture.width]
    cropped: Image.Image = functional.resized_crop(
        picture, top, left, height, width, size, interpolation=InterpolationMode.BICUBIC
    )
    return cropped
