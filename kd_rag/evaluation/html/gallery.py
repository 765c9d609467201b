"""Which errors the gallery shows first: of each label in turn the one that a run was surest of.

In: runs by name. Out: `Case`s in order. One case is one record with what every run that
was scored on it said, so that the same error of twenty runs is one card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from kd_rag.evaluation.html.material import records_file
from kd_rag.evaluation.predictions import Prediction
from kd_rag.evaluation.runs import Run

Key = tuple[str, str, str]
"""A record: its file, task and id."""


@dataclass(frozen=True, slots=True)
class Case:
    """A record that at least one run got wrong; `answers` are of every run that was scored on it, by name."""

    task: str
    id: str
    label: str
    answers: dict[str, Prediction] = field(default_factory=dict)

    @property
    def wrong(self) -> list[str]:
        """Names of the runs that got it wrong."""
        return [name for name, p in self.answers.items() if p.predicted != self.label]

    @property
    def surest(self) -> float:
        """The highest probability that a run gave its wrong answer."""
        return max(self.answers[name].probabilities[self.answers[name].predicted] for name in self.wrong)


def key_of(run: Run, task: str, identity: str) -> Key:
    """Return what tells a record from those of other files with the same id."""
    return str(records_file(run)), task, identity


def choose(named: Mapping[str, Run]) -> dict[Key, Case]:
    """Return the cases in the order of their cards: the surest error of each label, then the second of each, …"""
    found: dict[Key, Case] = {}
    for name, run in named.items():
        for p in run.predictions:
            if p.label is not None:
                case = found.setdefault(key_of(run, p.task, p.id), Case(p.task, p.id, p.label))
                case.answers[name] = p
    wrong = sorted(
        ((key, case) for key, case in found.items() if case.wrong), key=lambda item: (-item[1].surest, item[0])
    )
    by_label: dict[tuple[str, str], list[tuple[Key, Case]]] = {}
    for key, case in wrong:
        by_label.setdefault((case.task, case.label), []).append((key, case))
    return dict(item for item in chain(*zip_longest(*by_label.values())) if item is not None)
