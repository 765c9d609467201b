"""Pictures told by their looks: goods, receipts, chats, reviews and barcodes; what seems text is grey bars.

Each function draws on the whole of `picture`, with all chance from `rng`. Shapes are large, so that they are
still seen when the picture is scaled to a third.
"""

from __future__ import annotations

import math
import random

from PIL import Image, ImageDraw

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""

_BACKDROPS = ("#e9e4da", "#dfe8ee", "#ece6f0", "#e4efe2", "#f3ebdc")
_BODIES = ("#d9534f", "#3f8fd2", "#46b06a", "#e8a33d", "#b565c9", "#3fb6b0")
_DESKS = ("#7a5236", "#5d6570", "#6d4630", "#4f5b4a")
_CRACK = "#141414"
_GREEK = "#a9adb3"
_GOLD = "#f5a800"


def draw_goods(rng: random.Random, picture: Image.Image, cracked: bool) -> None:
    """One item on a table: a mug, a vase, a clock or a box, whole or with a wide dark crack and shards."""
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width, height), fill=rng.choice(_BACKDROPS))
    draw.rectangle((0, height * 0.8, width, height), fill="#c9b79c")
    side = min(width, height) * rng.uniform(0.6, 0.72)
    x, bottom = width / 2 + rng.uniform(-14, 14), height * rng.uniform(0.82, 0.86)
    box = (x - side / 2, bottom - side, x + side / 2, bottom)
    body = rng.choice(_BODIES)
    rng.choice((_mug, _vase, _clock, _box))(draw, box, body)
    if cracked:
        _crack(rng, draw, box, body)


def _mug(draw: ImageDraw.ImageDraw, box: Box, body: str) -> None:
    left, top, right, bottom = box
    side = right - left
    draw.ellipse((right - side * 0.35, top + side * 0.2, right, bottom - side * 0.25), outline=body, width=14)
    draw.rounded_rectangle((left, top, right - side * 0.2, bottom), 18, fill=body)


def _vase(draw: ImageDraw.ImageDraw, box: Box, body: str) -> None:
    left, top, right, _ = box
    side = right - left
    outline = [(0.3, 0), (0.7, 0), (0.62, 0.2), (0.95, 0.55), (0.7, 1), (0.3, 1), (0.05, 0.55), (0.38, 0.2)]
    draw.polygon([(left + u * side, top + v * side) for u, v in outline], fill=body)


def _clock(draw: ImageDraw.ImageDraw, box: Box, body: str) -> None:
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    draw.ellipse(box, fill=body)
    draw.line((x, y, x, top + 30), fill="white", width=5)
    draw.line((x, y, right - 45, y), fill="white", width=5)


def _box(draw: ImageDraw.ImageDraw, box: Box, body: str) -> None:
    left, top, right, _ = box
    draw.rounded_rectangle(box, 10, fill=body)
    draw.rectangle((left + 12, top + 22, right - 12, top + 34), fill="white")


def _crack(rng: random.Random, draw: ImageDraw.ImageDraw, box: Box, body: str) -> None:
    """Draw a zigzag from top to bottom with two branches, and shards below."""
    left, top, right, bottom = box
    side, x = right - left, (left + right) / 2
    spine = [(x + side * rng.uniform(-0.12, 0.12), top + side * i / 5) for i in range(6)]
    draw.line(spine, fill=_CRACK, width=16, joint="curve")
    for joint, reach in ((spine[2], -0.34), (spine[3], 0.34)):
        end = (joint[0] + side * reach, joint[1] + side * rng.uniform(-0.15, 0.15))
        draw.line((joint, end), fill=_CRACK, width=11)
    for _ in range(4):
        u, v = rng.uniform(left - 10, right + 10), bottom + rng.uniform(4, 18)
        draw.polygon([(u, v), (u + 18, v + 4), (u + 7, v + 14)], fill=body, outline=_CRACK)


def draw_receipt(rng: random.Random, picture: Image.Image) -> None:
    """A narrow white strip, slightly turned, on a dark desk."""
    desk = rng.choice(_DESKS)
    width, height = picture.size
    picture.paste(desk, (0, 0, width, height))
    strip = int(rng.uniform(115, 145))
    layer = Image.new("RGB", picture.size, desk)
    draw = ImageDraw.Draw(layer)
    left = (width - strip) // 2 + rng.randint(-20, 20)
    draw.rectangle((left, 8, left + strip, height - 14), fill="white")
    for x in range(left, left + strip, 10):
        draw.polygon([(x, height - 14), (x + 5, height - 6), (x + 10, height - 14)], fill="white")
    draw.rectangle((left + strip * 0.25, 18, left + strip * 0.75, 28), fill="#707070")
    for y in range(42, height - 50, 14):
        draw.rectangle((left + 10, y, left + strip * rng.uniform(0.4, 0.62), y + 5), fill=_GREEK)
        draw.rectangle((left + strip * 0.78, y, left + strip - 10, y + 5), fill=_GREEK)
    draw.rectangle((left + 10, height - 40, left + strip - 10, height - 29), fill="#606060")
    picture.paste(layer.rotate(rng.uniform(-5, 5), Image.Resampling.BILINEAR, fillcolor=desk))


def draw_chat(rng: random.Random, picture: Image.Image) -> None:
    """Bubbles from the left and from the right in turn, below a header bar."""
    width, height = picture.size
    paper, mine = rng.choice((("#dfe9e2", "#63c66f"), ("#e6ecf5", "#4f8ff0"), ("#ece5dd", "#8fd65c")))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width, height), fill=paper)
    draw.rectangle((0, 0, width, 30), fill="#4a5560")
    y, on_right = 40, rng.random() < 0.5
    while y < height - 40:
        tall = rng.choice((38, 52))
        long = width * rng.uniform(0.45, 0.6)
        left = width - 42 - long if on_right else 42
        draw.rounded_rectangle((left, y, left + long, y + tall), 12, fill=mine if on_right else "white")
        for bar in range(y + 10, y + tall - 8, 13):
            draw.rectangle((left + 12, bar, left + long * rng.uniform(0.6, 0.9), bar + 5), fill=_GREEK)
        face = width - 36 if on_right else 8
        draw.ellipse((face, y, face + 28, y + 28), fill=rng.choice(_BODIES))
        y, on_right = y + tall + 12, not on_right


def draw_reviews(rng: random.Random, picture: Image.Image) -> None:
    """Rows of five gold stars, each with a face and two grey lines."""
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width, height), fill=rng.choice(("#ffffff", "#fafafa", "#f3f6fa")))
    for y in range(rng.randint(8, 16), height - 60, 74):
        draw.ellipse((12, y, 46, y + 34), fill=rng.choice(_BODIES))
        given = rng.randint(3, 5)
        for i in range(5):
            _star(draw, 74 + 32 * i, y + 17, 16, _GOLD if i < given else "#d8d8d8")
        draw.rectangle((14, y + 42, width * rng.uniform(0.7, 0.92), y + 47), fill=_GREEK)
        draw.rectangle((14, y + 53, width * rng.uniform(0.4, 0.7), y + 58), fill=_GREEK)


def _star(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: str) -> None:
    points = []
    for i in range(10):
        reach, angle = radius if i % 2 == 0 else radius * 0.42, math.pi * i / 5
        points.append((x + reach * math.sin(angle), y - reach * math.cos(angle)))
    draw.polygon(points, fill=fill)


def draw_barcode(rng: random.Random, picture: Image.Image) -> None:
    """A white label of tall black bars on cardboard."""
    width, height = picture.size
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width, height), fill=rng.choice(("#c49a6c", "#b98d5f", "#d0aa80")))
    left, top = width * rng.uniform(0.06, 0.12), height * rng.uniform(0.1, 0.18)
    right, bottom = width * rng.uniform(0.88, 0.94), height * rng.uniform(0.8, 0.9)
    draw.rounded_rectangle((left, top, right, bottom), 8, fill="white")
    x = left + 16
    while x < right - 24:
        bar = rng.choice((4, 7, 11))
        draw.rectangle((x, top + 14, x + bar, bottom - 34), fill="#101010")
        x += bar + rng.choice((4, 7))
    draw.rectangle((left + 30, bottom - 24, right - 30, bottom - 14), fill=_GREEK)
