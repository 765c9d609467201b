"""Random deletion of words in what the customer says (Wei and Zou 2019, "EDA")."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from kd_rag.augmentations._options import check_range
from kd_rag.types import Dialogue

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_MARKUP = r"<[^<>]*>"
_PIECE = re.compile(
    rf"(?P<markup>{_MARKUP})"
    rf"|(?P<word>[ \t]*(?:[{_CJK}]|(?:(?!{_MARKUP})[^\s{_CJK}])+))"  # with the blanks before it
    r"|\s+"
)


def delete_words(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.5, share: float = 0.1) -> Dialogue:
    """Delete words of the customer's turns; Chinese and Japanese lose single characters instead.

    `probability` is each turn's chance to be changed; each of its words is then deleted with the chance `share`, but
    one always stays. Markup such as `<image>` or `<http>` and the agent's turns never change.
    """
    check_range("delete_words", probability=probability, share=share)
    turns = (
        replace(turn, text=_delete(turn.text, rng, share))
        if turn.role == "user" and rng.random() < probability
        else turn
        for turn in dialogue.turns
    )
    return replace(dialogue, turns=tuple(turns))


def _delete(text: str, rng: random.Random, share: float) -> str:
    pieces = list(_PIECE.finditer(text))
    words = [index for index, piece in enumerate(pieces) if piece["word"]]
    deleted = {index for index in words if rng.random() < share}
    if words and len(deleted) == len(words):
        deleted.remove(rng.choice(words))
    if not deleted:
        return text
    return "".join(piece[0] for index, piece in enumerate(pieces) if index not in deleted).strip()
