"""Deletion of key words: no label may hang on one word alone."""

from __future__ import annotations

import random
from functools import partial

from kd_rag.augmentations._options import check_count, check_range
from kd_rag.augmentations._text import PIECE, each_turn
from kd_rag.types import Dialogue

_CHINESE = "的了是我你您他吗呢吧啊呀哦嗯在有不就都也这那个要和与把被给从到说着过么什怎一很还能会可以，。！？；：、…"
_ENGLISH = """
a an the i you he she it we they my your this that is are was be do does did have has had can could will would to of in
on at for from with and or but not no so if as me please
"""
_FUNCTION_WORDS = frozenset([*_CHINESE, *_ENGLISH.split()])
"""Words and characters that carry little of what is asked."""


def delete_key_words(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.3, number: int = 1) -> Dialogue:
    """Delete `number` telling words of each of the customer's turns wherever they stand in it; in Chinese, characters.

    `probability` is each turn's chance to be changed. Telling is what is no function word; one word always stays, and
    so does markup and what holds an angle bracket.
    """
    check_range("delete_key_words", probability=probability)
    check_count("delete_key_words", number=number)
    return each_turn(dialogue, rng, probability, partial(_delete, number=number))


def _delete(text: str, rng: random.Random, number: int) -> str:
    pieces = [piece[0] for piece in PIECE.finditer(text)]
    words = [_word(piece) for piece in pieces]
    # A list without doubles, in the order of the text: a set's order is not the same in every process.
    telling = [w for w in dict.fromkeys(words) if w and w not in _FUNCTION_WORDS and not set("<>") & set(w)]
    deleted = rng.sample(telling, min(number, len(telling)))
    if not any(w and w not in deleted and not w.startswith("<") for w in words):
        deleted = deleted[1:]
    if not deleted:
        return text
    return "".join(piece for piece, word in zip(pieces, words, strict=True) if word not in deleted).strip()


def _word(piece: str) -> str:
    return piece.strip().lower()
