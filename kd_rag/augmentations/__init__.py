"""Augmentations (a family): a dialogue in another view, for training only.

In: a dialogue and which view of it is wanted. Out: a dialogue with the same pictures and markers in the same order. A
member is a function `(dialogue, rng, *, probability, …) -> Dialogue` that draws from `rng` alone, so (seed, record id,
view) tells a view: any process on any machine makes the same one again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from kd_rag.types import Dialogue

Step = Callable[[Dialogue, random.Random], Dialogue]


def augment(dialogue: Dialogue, record_id: str, view: int, *, steps: Sequence[Step], seed: int) -> Dialogue:
    """Return `dialogue` after all `steps`; each draws from a stream of its own, so one step's draws move no other's."""
    for index, step in enumerate(steps):
        # `random.Random` hashes a string with SHA-512: unlike `hash`, the same in every process.
        dialogue = step(dialogue, random.Random(repr((seed, record_id, view, index))))
    return dialogue
