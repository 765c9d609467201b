"""What each member that changes pictures does to them, in numbers."""

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kd_rag import registry
from kd_rag.types import Dialogue, InputError

GREY = Image.new("RGB", (200, 100), (100, 100, 100))
CORNER = Image.new("RGB", (200, 100), (100, 100, 100))
ImageDraw.Draw(CORNER).rectangle((0, 0, 99, 49), fill=(200, 0, 0))


def views(name, picture, number=60, **options):
    member = registry.build("augmentations", {"name": name, "probability": 1.0, **options})
    for seed in range(number):
        yield np.asarray(member(Dialogue((), (picture,)), random.Random(seed)).pictures[0]).astype(int)


def test_rotation_fills_the_corners_with_white_and_stays_small():
    """A receipt on its head, or corners of black that no page has."""
    whites = [(view == 255).all(axis=-1).mean() for view in views("rotate", GREY, degrees=5)]
    assert 0.03 < max(whites) < 0.1, "half of 200/100 * tan(5 degrees), and its counterpart"
    assert all((view[50, 100] == 100).all() for view in views("rotate", GREY, degrees=5))


def test_quarter_turns_lose_nothing_and_are_all_drawn():
    """A screenshot whose ends are cut off because it lies on its side."""
    found = set()
    for view in views("quarter_turn", CORNER):
        red = (view[..., 0] > 150) & (view[..., 1] < 50)
        rows, columns = np.nonzero(red)
        found.add((rows.mean() > 50, columns.mean() > 100))
        share = red.sum() / ((view < 250).any(axis=-1)).sum()
        assert share == pytest.approx(0.25, abs=0.03)
    assert found == {(True, False), (True, True), (False, True)}


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 40), (3, 200)])
def test_a_narrow_picture_can_be_turned(size):
    """A run that ends at a strip of a pixel's width, which turned and made to fit would have no width left."""
    for view in views("quarter_turn", Image.new("RGB", size), number=9):
        assert view.shape == (size[1], size[0], 3)
        assert view.min() == 0, "something of the picture is still there"


def test_grey_has_no_colour_and_keeps_light_from_dark():
    (view,) = views("grey", CORNER, number=1)
    assert np.ptp(view, axis=-1).max() == 0
    assert view[0, 0, 0] == 60, "0.2989 * 200"
    assert view[99, 199, 0] == 100


def test_noise_is_as_strong_as_said_and_shifts_nothing():
    """Noise that only brightens, or that drowns the text."""
    spreads = [(view.std(), view.mean()) for view in views("noise", GREY, sigma=0.1)]
    assert max(s for s, _ in spreads) == pytest.approx(25.5, abs=1.5)
    assert min(s for s, _ in spreads) < 2
    assert all(mean == pytest.approx(100, abs=1) for _, mean in spreads)


def test_blur_softens_edges_in_proportion_to_the_picture():
    edges = [(view[10, :, 1] > 5).argmax() for view in views("blur", CORNER, sigma=0.03)]
    assert max(edges) <= 100
    assert min(edges) >= 100 - 9, "three standard deviations of 3 pixels"
    assert min(edges) < 98


def test_jpeg_is_coarser_at_lower_quality():
    text = Image.effect_noise((64, 64), 80).convert("RGB")
    error = {
        q: np.mean([abs(v - np.asarray(text)).mean() for v in views("jpeg", text, min_quality=q)]) for q in (5, 90)
    }
    assert error[5] > 2 * error[90] > 0
    with pytest.raises(InputError, match="min_quality is a number from 1 to 95, found 0"):
        next(views("jpeg", text, min_quality=0))


def test_a_strip_that_is_too_long_for_jpeg_stays():
    """A training run that ends at the one endless screenshot."""
    assert next(views("jpeg", Image.new("RGB", (66_000, 1)), number=1)).shape == (1, 66_000, 3)


@pytest.mark.parametrize("patches", [1, 2])
def test_patches_cover_no_more_than_said(patches):
    """A patch over the whole page, after which the label is a guess."""
    covered = [(view != 100).any(axis=-1).mean() for view in views("occlude", GREY, max_area=0.2, patches=patches)]
    assert 0.15 * patches < max(covered) <= 0.21 * patches
    assert min(covered) < 0.05 * patches
    with pytest.raises(InputError, match="augmentations occlude: patches is a number of at least 1, found -3"):
        next(views("occlude", GREY, patches=-3))


def test_rand_augment_draws_many_operations_and_grows_with_its_magnitude():
    def change(magnitude):
        return [abs(v - np.asarray(CORNER)).mean() for v in views("rand_augment", CORNER, magnitude=magnitude)]

    assert len({round(c, 6) for c in change(0.3)}) > 20
    assert np.mean(change(0.1)) < np.mean(change(0.8))
    with pytest.raises(InputError, match="operations is a number of at least 1, found 0"):
        next(views("rand_augment", CORNER, operations=0))


def test_operations_without_strength_keep_white_white():
    """A receipt turned into its negative by the one operation whose threshold is a level too low."""
    page = Image.new("RGB", (40, 30), (255, 255, 255))
    assert {int(view.min()) for view in views("rand_augment", page, magnitude=0)} == {255}
