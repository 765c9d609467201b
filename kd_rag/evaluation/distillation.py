"""What a distilled student kept of its teacher, and what it lost.

In: runs by name. Out: for each student whose teacher is among them, how the two answered the same records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kd_rag.evaluation.predictions import Prediction
from kd_rag.evaluation.runs import Run
from kd_rag.evaluation.tables import Rows


@dataclass(frozen=True, slots=True)
class Kept:
    """One task's records, told apart by who has them right; `lost` and `gained` are ids in the teacher's order.

    `agreed` counts equal answers, right or wrong.
    """

    agreed: int
    both: int
    lost: list[str]
    gained: list[str]
    neither: int

    @property
    def n(self) -> int:
        """Number of records."""
        return self.both + len(self.lost) + len(self.gained) + self.neither


def pairs(named: Mapping[str, Run]) -> dict[str, str]:
    """Return `{student: teacher}` of distilled runs whose teacher is among the runs, scored on the same records."""
    folders = {run.folder.resolve(): name for name, run in named.items()}
    found = {}
    for name, run in named.items():
        path = run.config.teacher.get("path")
        teacher = folders.get(run.path(path).resolve()) if path and run.facts["command"] == "distill" else None
        if teacher is not None and records(named[teacher]) == records(run):
            found[name] = teacher
    return found


def records(run: Run) -> list[tuple[str, str, str]]:
    """Return what identifies the scored records, whatever their order in the file."""
    return sorted((p.task, p.id, str(p.label)) for p in run.predictions)


def kept(teacher: Sequence[Prediction], student: Sequence[Prediction]) -> dict[str, Kept]:
    """Compare two models' answers to the same records, task by task."""
    answers = {(p.task, p.id): p.predicted for p in student}
    found = {}
    for task in dict.fromkeys(p.task for p in teacher):
        rows = [(p.id, p.label, p.predicted, answers[task, p.id]) for p in teacher if p.task == task]
        found[task] = Kept(
            agreed=sum(one == other for _, _, one, other in rows),
            both=sum(one == other == gold for _, gold, one, other in rows),
            lost=[i for i, gold, one, other in rows if one == gold != other],
            gained=[i for i, gold, one, other in rows if other == gold != one],
            neither=sum(one != gold != other for _, gold, one, other in rows),
        )
    return found


def kept_table(named: Mapping[str, Run], taught: Mapping[str, str]) -> Rows:
    """Lay out every pair, task by task."""
    rows = [["student", "teacher", "task", "agreement", "both right", "lost", "gained", "both wrong"]]
    for student, teacher in taught.items():
        for task, k in kept(named[teacher].predictions, named[student].predictions).items():
            counts = [str(n) for n in (k.both, len(k.lost), len(k.gained), k.neither)]
            rows.append([student, teacher, task, f"{100 * k.agreed / k.n:.1f}%", *counts])
    return rows
