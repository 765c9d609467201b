import random

import numpy as np
import pytest
from PIL import Image

from kd_rag.augmentations.colour_jitter import colour_jitter
from kd_rag.types import Dialogue, InputError

NONE = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
GREY = Image.new("RGB", (8, 8), (100, 100, 100))
RED = Image.new("RGB", (8, 8), (200, 40, 40))


def views(picture, **options):
    for seed in range(80):
        view = colour_jitter(Dialogue((), (picture,)), random.Random(seed), probability=1.0, **{**NONE, **options})
        yield np.asarray(view.pictures[0]).astype(int)


def test_all_zero_changes_nothing():
    assert all((view == np.asarray(RED)).all() for view in views(RED))


def test_brightness_stays_in_its_span():
    """Pictures that fade to black."""
    levels = [view.mean() for view in views(GREY, brightness=0.2)]
    assert 79 <= min(levels) < 85
    assert 115 < max(levels) <= 121


def test_each_option_changes_only_its_property():
    """A hue that changes the light, a contrast that changes a flat picture."""
    assert all((view == 100).all() for view in views(GREY, contrast=0.5, saturation=0.5, hue=0.5))
    strengths = [np.ptp(view[0, 0]) for view in views(RED, saturation=0.5)]
    assert min(strengths) < 100
    assert max(strengths) > 190
    turned = [view[0, 0].tolist() for view in views(RED, hue=0.2)]
    assert all(max(pixel) == pytest.approx(200, abs=3) for pixel in turned)
    assert any(pixel[1] > 100 for pixel in turned)
    assert any(pixel[2] > 100 for pixel in turned)


def test_wrong_hue_is_named():
    with pytest.raises(InputError, match=r"augmentations colour_jitter: hue is a number from 0 to 0\.5, found 0\.6"):
        colour_jitter(Dialogue((), ()), random.Random(0), hue=0.6)
