"""What members share that change texts: markup, words, clauses, and which turns are changed.

Markup is anything in angle brackets, such as `<image>` or `<http>`: its number and order are the record's.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

from kd_rag.types import Dialogue, Role

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
MARKUP = r"<[^<>]*>"
PIECE = re.compile(
    rf"(?P<markup>{MARKUP})"
    rf"|(?P<word>[ \t]*(?:[{_CJK}]|(?:(?!{MARKUP})[^\s{_CJK}])+))"  # with the blanks before it
    r"|\s+"
)
"""Markup, a word of another script than Chinese and Japanese, one of their characters, or blanks."""

CLAUSE_END = re.compile(rf"[，。！？；…～\n]+|(?<![,.!?;])[,.!?;]+(?=\s|$)|(?<=[{_CJK}])[ \t]+(?=[{_CJK}])")
"""What parts two clauses; customers who write Chinese part them by blanks, too."""


def each_turn(
    dialogue: Dialogue,
    rng: random.Random,
    probability: float,
    change: Callable[[str, random.Random], str],
    role: Role = "user",
) -> Dialogue:
    """Return `dialogue` with the text of each turn of `role` changed with the chance `probability`."""
    turns = (
        replace(turn, text=change(turn.text, rng)) if turn.role == role and rng.random() < probability else turn
        for turn in dialogue.turns
    )
    return replace(dialogue, turns=tuple(turns))
