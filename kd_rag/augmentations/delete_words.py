"""Random deletion of words in what the customer says (Wei and Zou 2019, "EDA")."""

from __future__ import annotations

import random
from functools import partial

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._text import PIECE, each_turn
from kd_rag.types import Dialogue


def delete_words(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, share: float = 0.1) -> Dialogue:
    """Delete words of the customer's turns; Chinese and Japanese lose single characters instead.

    `probability` is each turn's chance to be changed; each of its words is then deleted with the chance `share`, but
    one always stays. Markup such as `<image>` or `<http>` and the agent's turns never change.
    """
    check_range("delete_words", probability=probability, share=share)
    return each_turn(dialogue, rng, probability, partial(_delete, share=share))


def _delete(text: str, rng: random.Random, share: float) -> str:
    pieces = list(PIECE.finditer(text))
    words = [index for index, piece in enumerate(pieces) if piece["word"]]
    deleted = {index for index in words if rng.random() < share}
    if words and len(deleted) == len(words):
        deleted.remove(rng.choice(words))
    if not deleted:
        return text
    return "".join(piece[0] for index, piece in enumerate(pieces) if index not in deleted).strip()
