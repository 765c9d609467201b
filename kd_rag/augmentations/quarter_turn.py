"""Quarter turns: a picture sent sideways or upside down."""

from __future__ import annotations

import random

from PIL import Image
from torchvision.transforms.v2 import functional

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._pictures import WHITE, each_picture
from kd_rag.types import Dialogue


def quarter_turn(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.1) -> Dialogue:
    """Turn each picture by 90, 180 or 270 degrees, each as likely, losing none of it.

    `probability` is each picture's chance to be turned. A picture turned sideways is made to fit its former size, on a
    white ground, so that views of a record have the same number of tokens.
    """
    check_range("quarter_turn", probability=probability)
    return each_picture(dialogue, rng, probability, _turn)


def _turn(picture: Image.Image, rng: random.Random) -> Image.Image:
    turned: Image.Image = functional.rotate(picture, rng.choice((90, 180, 270)), expand=True)
    if turned.size == picture.size:
        return turned
    (width, height), scale = picture.size, min(picture.width / turned.width, picture.height / turned.height)
    # A side of less than half a pixel would round to none.
    fitted = turned.resize((max(1, round(turned.width * scale)), max(1, round(turned.height * scale))))
    page = Image.new(picture.mode, picture.size, WHITE)
    page.paste(fitted, ((width - fitted.width) // 2, (height - fitted.height) // 2))
    return page
