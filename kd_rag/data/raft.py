"""Passages of training prompts that a model must not lean on blindly: dropped, mixed with others, in any order.

In: the passages retrieved for a record, and its view. Out: those that the view's prompt shows. Everything is drawn from
(seed, record id, view), so a view has the same passages in every process and for teacher and student (RAFT, Zhang et
al. 2024).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kd_rag.config import RaftConfig
from kd_rag.types import InputError, Passage, Retrieved

UNSCORED = float("-inf")
"""The score of a distractor: no retriever found it."""


def check_raft(recipe: RaftConfig) -> None:
    """Raise InputError naming the first option that is out of range."""
    for name in ("dropout", "oracle_share"):
        if not 0 <= (share := getattr(recipe, name)) <= 1:
            raise InputError(f"raft.{name}={share}: must be between 0 and 1")
    if recipe.distractors < 0:
        raise InputError(f"raft.distractors={recipe.distractors}: must be 0 or more")


@dataclass(frozen=True)
class Raft:
    """`recipe` applied; `pool` has the passages that distract, `barred` the ids of those that a record may not have."""

    recipe: RaftConfig
    seed: int
    pool: Sequence[Passage]
    barred: Mapping[str, frozenset[str]]

    def shown(self, found: tuple[Retrieved, ...], record_id: str, view: int) -> tuple[Retrieved, ...]:
        """Return what the prompt of a view shows of `found`, best first, among distractors."""
        if not found:
            return ()
        rng = random.Random(f"raft/{self.seed}/{record_id}/{view}")
        dropped, kept = rng.random() < self.recipe.dropout, rng.random() < self.recipe.oracle_share
        if dropped:
            return ()
        shown = list(found) if kept else []
        for passage in self._distractors(record_id, rng):
            shown.insert(rng.randint(0, len(shown)), Retrieved(passage, UNSCORED))
        if self.recipe.shuffle:
            rng.shuffle(shown)
        return tuple(shown)

    def _distractors(self, record_id: str, rng: random.Random) -> list[Passage]:
        """Draw passages without replacement; of so many, enough are not barred wherever there are enough."""
        barred = self.barred[record_id]
        drawn = rng.sample(range(len(self.pool)), min(len(self.pool), self.recipe.distractors + len(barred)))
        free = [self.pool[i] for i in drawn if self.pool[i].id not in barred]
        return free[: self.recipe.distractors]
