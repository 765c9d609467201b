import math
import random

import numpy as np
import pytest
from PIL import Image

from kd_rag.augmentations.crop import crop
from kd_rag.types import Dialogue, InputError


def coordinates(width, height):
    """A picture whose red tells the column and whose green tells the row."""
    rows, columns = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([columns, rows, rows * 0], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("min_area", [0.3, 0.7, 1.0])
def test_enough_of_the_picture_stays(min_area):
    """A crop that cuts the evidence away."""
    shares = []
    for seed in range(60):
        view = crop(Dialogue((), (coordinates(200, 120),)), random.Random(seed), probability=1.0, min_area=min_area)
        pixels = np.asarray(view.pictures[0]).astype(int)
        sides = [np.ptp(pixels[..., channel]) + 1 for channel in (0, 1)]
        shares.append(math.prod(sides) / (200 * 120))
        assert sides[0] / sides[1] == pytest.approx(200 / 120, rel=0.05), "text is not squeezed"
    assert min_area - 0.04 <= min(shares) <= min_area + 0.05
    assert max(shares) > 0.95


def test_places_differ():
    """A crop that always keeps the same corner."""
    views = [
        crop(Dialogue((), (coordinates(200, 120),)), random.Random(seed), probability=1.0, min_area=0.5)
        for seed in range(40)
    ]
    lefts = [np.asarray(view.pictures[0])[..., 0].min() for view in views]
    assert min(lefts) < 5
    assert max(lefts) > 40


def test_probability_is_the_share_of_pictures():
    picture = coordinates(40, 40)
    kept = [
        crop(Dialogue((), (picture,)), random.Random(s), probability=0.3).pictures[0] is picture for s in range(500)
    ]
    assert np.mean(kept) == pytest.approx(0.7, abs=0.06)


def test_wrong_area_is_named():
    with pytest.raises(InputError, match="augmentations crop: min_area is a number from 0 to 1, found -1"):
        crop(Dialogue((), ()), random.Random(0), min_area=-1)
