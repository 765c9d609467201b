"""What the bundled sample's writers hand to each other: drafts of records, and sketches of their pictures.

A draft says everything about a record; its pictures are sketches, so that texts can be had without drawing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from kd_rag.types import Turn

T = TypeVar("T")
Cue = Literal["dialogue", "passage", "picture", "ocr"]


@dataclass(frozen=True, slots=True)
class Sketch:
    """A picture to be drawn: `scene` names the drawing, `seed` fixes all that is random in it.

    `lines` are the texts printed on it, from top to bottom. Two sketches that share a seed differ in scene
    and lines only, so that a record and its twin of another label have nothing else to be told apart by.
    """

    scene: str
    seed: int
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A record without id and files; `cue` is the part that decides `label`, `product` the named product."""

    task: str
    label: str
    cue: Cue
    turns: tuple[Turn, ...]
    sketches: tuple[Sketch, ...] = ()
    product: str | None = None


def deal(rng: random.Random, options: Sequence[T], count: int) -> list[T]:
    """Draw `count` options in random order, each as often as any other (give or take one)."""
    dealt: list[T] = []
    while len(dealt) < count:
        dealt += rng.sample(options, len(options))
    return dealt[:count]


def new_seed(rng: random.Random) -> int:
    """Draw the seed of a sketch."""
    return rng.getrandbits(32)
