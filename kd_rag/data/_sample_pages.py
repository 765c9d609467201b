"""Printed pages of an app: a title, lines and a button in one of several layouts and colours.

The layout and the colours come from the random generator alone, never from the lines: pages with the same number
of lines and the same generator look alike but for their words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont


@dataclass(frozen=True, slots=True)
class _Theme:
    paper: str
    card: str
    ink: str
    accent: str
    on_accent: str = "white"


_THEMES = (
    _Theme("#ffffff", "#eef1f6", "#202020", "#1f5fbf"),
    _Theme("#f6f2ea", "#ffffff", "#2b2118", "#b3541e"),
    _Theme("#eef7f0", "#ffffff", "#12301c", "#1d7a46"),
    _Theme("#f7eef6", "#ffffff", "#301030", "#8a2d86"),
    _Theme("#1d2430", "#2c3647", "#f2f2f2", "#0f8a9d"),
    _Theme("#fff7d6", "#ffffff", "#332b00", "#7a5c00"),
)
_MARGIN_PIXELS = 14
_RAIL_PIXELS = 38


def draw_page(rng: random.Random, picture: Image.Image, lines: Sequence[str]) -> None:
    """Print `lines` on `picture`: the first as the title, the last as the button's text."""
    theme, layout = rng.choice(_THEMES), rng.choice((_bar_and_list, _cards, _side_rail))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, *picture.size), fill=theme.paper)
    layout(draw, theme, picture.size, lines)


def _bar_and_list(draw: ImageDraw.ImageDraw, theme: _Theme, size: tuple[int, int], lines: Sequence[str]) -> None:
    """A coloured bar with the title, lines with rules between them, a wide button below."""
    width, height = size
    draw.rectangle((0, 0, width, 38), fill=theme.accent)
    _print(draw, (_MARGIN_PIXELS, 19), lines[0], 18, theme.on_accent)
    step = (height - 38 - 40) / len(lines[1:-1])
    for i, line in enumerate(lines[1:-1]):
        y = 38 + step * (i + 0.5)
        _print(draw, (_MARGIN_PIXELS, y), line, 16, theme.ink)
        draw.line((0, y + step / 2, width, y + step / 2), fill=theme.card, width=2)
    draw.rounded_rectangle((40, height - 36, width - 40, height - 6), 12, fill=theme.accent)
    _print(draw, (width / 2, height - 21), lines[-1], 16, theme.on_accent, anchor="mm")


def _cards(draw: ImageDraw.ImageDraw, theme: _Theme, size: tuple[int, int], lines: Sequence[str]) -> None:
    """The title on the paper, a card for each line with a coloured edge, a small button at the right."""
    width, height = size
    _print(draw, (_MARGIN_PIXELS, 18), lines[0], 18, theme.ink)
    draw.rounded_rectangle((width - 76, 5, width - 8, 33), 8, fill=theme.accent)
    _print(draw, (width - 42, 19), lines[-1], 15, theme.on_accent, anchor="mm")
    step = (height - 44) / len(lines[1:-1])
    for i, line in enumerate(lines[1:-1]):
        top = 40 + step * i
        draw.rounded_rectangle((8, top, width - 8, top + step - 5), 6, fill=theme.card)
        draw.rectangle((8, top, 13, top + step - 5), fill=theme.accent)
        _print(draw, (24, top + step / 2 - 2), line, 16, theme.ink)


def _side_rail(draw: ImageDraw.ImageDraw, theme: _Theme, size: tuple[int, int], lines: Sequence[str]) -> None:
    """A coloured rail with dots on the left, title and lines beside it, the button's text at the bottom."""
    _, height = size
    draw.rectangle((0, 0, _RAIL_PIXELS, height), fill=theme.accent)
    step = (height - 8) / len(lines)
    for i, line in enumerate(lines):
        y = 4 + step * (i + 0.5)
        draw.ellipse((_RAIL_PIXELS / 2 - 6, y - 6, _RAIL_PIXELS / 2 + 6, y + 6), fill=theme.card)
        _print(draw, (_RAIL_PIXELS + 12, y), line, 18 if i == 0 else 16, theme.ink)


def _print(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], line: str, size: int, ink: str, anchor: str = "lm"
) -> None:
    draw.text(at, line, fill=ink, font=ImageFont.load_default(size=size), anchor=anchor)
