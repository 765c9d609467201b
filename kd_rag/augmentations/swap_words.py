"""Random swap of neighbouring words in what the customer says (after Wei and Zou 2019, "EDA")."""

from __future__ import annotations

import random
from functools import partial
from itertools import pairwise

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._text import PIECE, each_turn
from kd_rag.types import Dialogue


def swap_words(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, share: float = 0.1) -> Dialogue:
    """Swap words of the customer's turns with the next; in Chinese and Japanese, single characters.

    `probability` is each turn's chance to be changed; each of its words is then swapped with the chance `share`. Markup
    stays where it is, and so does a word that holds an angle bracket, or a swap could make or break markup.
    """
    check_range("swap_words", probability=probability, share=share)
    return each_turn(dialogue, rng, probability, partial(_swap, share=share))


def _swap(text: str, rng: random.Random, share: float) -> str:
    pieces = [piece[0] for piece in PIECE.finditer(text)]
    words = [index for index, piece in enumerate(pieces) if piece.strip() and not set("<>") & set(piece)]
    for one, other in pairwise(words):
        if rng.random() < share:
            # The blanks before a word belong to its place.
            first, second = pieces[one].lstrip(" \t"), pieces[other].lstrip(" \t")
            pieces[one] = pieces[one].removesuffix(first) + second
            pieces[other] = pieces[other].removesuffix(second) + first
    return "".join(pieces)
