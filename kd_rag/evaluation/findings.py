"""What a report tells about runs, computed once for all of its pages.

In: runs in their order. Out: `Findings`: scores beside a majority class, comparisons with the first run, pairs of
teacher and student, curves, and what others published of the same setting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kd_rag.evaluation.baselines import majority_class
from kd_rag.evaluation.comparison import Compared, compare
from kd_rag.evaluation.curves import Point, points
from kd_rag.evaluation.distillation import pairs, records
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.runs import Run
from kd_rag.evaluation.tables import Scored


@dataclass(frozen=True, slots=True)
class Findings:
    """`compared` is of each other run with the first, on tasks of which both have the same records.

    `scored` has the runs in their order and baselines behind them; `taught` is `{student: teacher}`.
    """

    runs: Mapping[str, Run]
    scored: Sequence[Scored]
    compared: Mapping[str, Compared]
    taught: Mapping[str, str]
    curves: Mapping[str, Mapping[str, Sequence[Point]]]

    @property
    def first(self) -> str:
        """Name of the run that the others are compared with."""
        return next(iter(self.runs))


def find(runs: Sequence[Run]) -> Findings:
    """Score, compare and pair the runs."""
    named = _named(runs)
    seen = {name: records(run) for name, run in named.items()}
    (_, base), *others = named.items()
    settings = base.config
    compared = {
        name: compare([base.predictions], [run.predictions], settings.evaluation.bootstrap_samples, settings.run.seed)
        for name, run in others
    }
    scored = [
        Scored(name, run.facts["command"], run.metrics, run.facts, _published(run)) for name, run in named.items()
    ]
    return Findings(
        runs=named,
        scored=[*scored, *_majority_rows(named, seen)],
        compared=compared,
        taught=pairs(named),
        curves={name: points(run.folder) for name, run in named.items()},
    )


def _named(runs: Sequence[Run]) -> dict[str, Run]:
    """Key the runs by folder name, or by path where two folders have one name."""
    names = [run.folder.resolve().name for run in runs]
    unique = names if len(set(names)) == len(runs) else [str(run.folder) for run in runs]
    return dict(zip(unique, runs, strict=True))


def _published(run: Run) -> dict[str, float]:
    """Return the published figures of the run's variant, where the run is part of an ablation."""
    folder = run.folder.resolve()
    tables = folder.parents[1] / "ablation.json"
    if folder.parent.name != "runs" or not tables.exists():
        return {}
    variants = json.loads(tables.read_text(encoding="utf-8"))["variants"].values()
    return next((v["published"] for v in variants if folder.name in v.get("runs", {}).values()), {})


def _majority_rows(named: Mapping[str, Run], seen: Mapping[str, Sequence[tuple[str, str, str]]]) -> list[Scored]:
    """Score the majority class once for all runs with the same training labels and scored records."""
    groups: dict[str, list[str]] = {}
    for name, run in named.items():
        key = json.dumps([run.facts["train_label_counts"], seen[name]], sort_keys=True)
        groups.setdefault(key, []).append(name)
    rows = []
    for names in groups.values():
        run = named[names[0]]
        labels = {name: list(task["per_label"]) for name, task in run.metrics["tasks"].items()}
        guesses = majority_class(run.facts["train_label_counts"], run.predictions)
        metrics = score(guesses, labels, run.config.evaluation.bootstrap_samples, run.config.run.seed)
        title = "majority class" if len(groups) == 1 else f"majority class ({', '.join(names)})"
        rows.append(Scored(title, "baseline", {"split": run.metrics["split"], **metrics}, {}))
    return rows
