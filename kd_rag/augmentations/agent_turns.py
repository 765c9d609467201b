"""Fewer and shorter agent turns: the customer's words and pictures must tell enough."""

from __future__ import annotations

import random
from dataclasses import replace

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._text import CLAUSE_END
from kd_rag.types import Dialogue, Turn


def agent_turns(dialogue: Dialogue, rng: random.Random, *, probability: float = 0.3, drop: float = 0.5) -> Dialogue:
    """Leave out an agent's turn, or all but its first clauses.

    `probability` is each agent turn's chance to be changed, `drop` the share of these that go whole; of the others, a
    number of clauses uniform from one to all stays. What holds an angle bracket, as markup does, stays, and
    so do all turns of a dialogue without a customer's.
    """
    check_range("agent_turns", probability=probability, drop=drop)
    if not any(turn.role == "user" for turn in dialogue.turns):
        return dialogue
    turns = (
        _shortened(t, rng, drop) if t.role == "agent" and rng.random() < probability else t for t in dialogue.turns
    )
    return replace(dialogue, turns=tuple(turn for turn in turns if turn is not None))


def _shortened(turn: Turn, rng: random.Random, drop: float) -> Turn | None:
    if set("<>") & set(turn.text):
        return turn
    if rng.random() < drop:
        return None
    first = len(turn.text) - len(turn.text.lstrip())
    ends = [end.end() for end in CLAUSE_END.finditer(turn.text) if end.start() > first]
    return replace(turn, text=turn.text[: rng.choice([*ends, len(turn.text)])])
