"""Clauses in another order: a customer who begins with the other end of the story."""

from __future__ import annotations

import random
import re

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._text import CLAUSE_END, MARKUP, each_turn
from kd_rag.types import Dialogue

_PARTS = re.compile(f"({MARKUP})")


def reorder_clauses(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.3) -> Dialogue:
    """Shuffle the clauses within each of the customer's turns; what parts them stays in its place.

    `probability` is each turn's chance to be changed. No clause passes markup such as `<image>`.
    """
    check_range("reorder_clauses", probability=probability)
    return each_turn(dialogue, rng, probability, _reorder)


def _reorder(text: str, rng: random.Random) -> str:
    return "".join(_shuffled(part, rng) for part in _PARTS.split(text))


def _shuffled(part: str, rng: random.Random) -> str:
    if set("<>") & set(part):  # markup, or a lone bracket that could become half of some
        return part
    ends = [end[0] for end in CLAUSE_END.finditer(part)]
    clauses = CLAUSE_END.split(part)
    filled = [index for index, clause in enumerate(clauses) if clause.strip()]
    for index, source in zip(filled, rng.sample([clauses[i] for i in filled], len(filled)), strict=True):
        old = clauses[index]
        # The blanks around a clause belong to its place.
        clauses[index] = old.replace(old.strip(), source.strip(), 1)
    return "".join(clause + end for clause, end in zip(clauses, [*ends, ""], strict=True))
