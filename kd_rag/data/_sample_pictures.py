"""From a sketch to a JPEG file: the drawings by name, and the noise that all of them get.

In: a `Sketch`. Out: a small JPEG (320 by 240 pixels or upright), blurred and noised a little. All chance comes
from the sketch's seed, so that the same sketch gives the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from PIL import Image, ImageFilter

from kd_rag.data._sample_drafts import Sketch
from kd_rag.data._sample_looks import draw_barcode, draw_chat, draw_goods, draw_receipt, draw_reviews
from kd_rag.data._sample_pages import draw_page

Drawing = Callable[[random.Random, Image.Image], None]

_DRAWINGS: Mapping[str, Drawing] = {
    "whole_goods": partial(draw_goods, cracked=False),
    "cracked_goods": partial(draw_goods, cracked=True),
    "till_receipt": draw_receipt,
    "message_chat": draw_chat,
    "star_reviews": draw_reviews,
    "barcode_label": draw_barcode,
}
_SIZES = ((320, 240), (240, 320))
_NOISE_SHARE = 0.06


def save_picture(sketch: Sketch, path: Path) -> None:
    """Draw `sketch` and write it to `path` as a JPEG."""
    rng = random.Random(sketch.seed)
    picture = Image.new("RGB", rng.choice(_SIZES), "white")
    quality, radius = rng.randint(55, 85), rng.uniform(0.0, 0.5)
    noise = Image.frombytes("RGB", picture.size, rng.randbytes(picture.width * picture.height * 3))
    if sketch.scene == "printed_page":
        draw_page(rng, picture, sketch.lines)
    else:
        _DRAWINGS[sketch.scene](rng, picture)
    blurred = picture.filter(ImageFilter.GaussianBlur(radius))
    Image.blend(blurred, noise, _NOISE_SHARE).save(path, "JPEG", quality=quality)
