"""Random occlusion: a coloured patch over a part of each picture (Zhong et al. 2020, "Random erasing")."""

from __future__ import annotations

import math
import random
from functools import partial

from PIL import Image

from kd_rag.augmentations._options import check_count, check_range
from kd_rag.augmentations._pictures import each_picture
from kd_rag.types import Dialogue


def occlude(
    dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, max_area: float = 0.15, patches: int = 1
) -> Dialogue:
    """Cover a part of each picture with `patches` rectangles of one colour each, drawn from all colours.

    `probability` is each picture's chance to be covered. A patch covers a share of the area uniform in [0, `max_area`];
    it is up to three times as wide as high in shares of the sides, or as high as wide, and lies wholly inside.
    """
    check_range("occlude", probability=probability, max_area=max_area)
    check_count("occlude", patches=patches)
    return each_picture(dialogue, rng, probability, partial(_cover, max_area=max_area, patches=patches))


def _cover(picture: Image.Image, rng: random.Random, max_area: float, patches: int) -> Image.Image:
    covered = picture.copy()
    for _ in range(patches):
        # The aspect is uniform in its logarithm, so wide and high are as likely; neither side may exceed the picture's.
        area, aspect = rng.uniform(0, max_area), 3 ** rng.uniform(-1, 1)
        width, height = min(1, math.sqrt(area * aspect)), min(1, math.sqrt(area / aspect))
        width, height = round(width * picture.width), round(height * picture.height)
        left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
        colour = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        covered.paste(colour, (left, top, left + width, top + height))
    return covered
