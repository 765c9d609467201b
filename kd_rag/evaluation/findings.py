"""What a report tells about runs, computed once for all of its pages.

In: runs in their order. Out: `Findings`: scores beside baselines and other modes, comparisons with the first run
over the seeds, pairs of teacher and student, curves, and what others published of the same setting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from kd_rag import config
from kd_rag.evaluation.baselines import majority_class
from kd_rag.evaluation.comparison import Compared, compare
from kd_rag.evaluation.curves import Point, points
from kd_rag.evaluation.distillation import pairs, records
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.runs import Run
from kd_rag.evaluation.tables import Scored


@dataclass(frozen=True, slots=True)
class Findings:
    """`compared` is of each other method with the first run's, `first`; runs that differ by seed alone are one method.

    `scored` has the runs in their order and behind them what stands beside them; `taught` is `{student: teacher}`.
    """

    runs: Mapping[str, Run]
    scored: Sequence[Scored]
    first: str
    compared: Mapping[str, Compared]
    taught: Mapping[str, str]
    curves: Mapping[str, Mapping[str, Sequence[Point]]]


def find(runs: Sequence[Run]) -> Findings:
    """Score, compare and pair the runs."""
    named = _named(runs)
    seen = {name: records(run) for name, run in named.items()}
    (first, base), *others = _methods(named, seen).items()
    settings = base[0].config
    samples, seed = settings.evaluation.bootstrap_samples, settings.run.seed
    answers = [run.predictions for run in base]
    compared = {name: compare(answers, [run.predictions for run in method], samples, seed) for name, method in others}
    scored = [
        Scored(name, run.facts["command"], run.metrics, run.facts, _published(run)) for name, run in named.items()
    ]
    return Findings(
        runs=named,
        scored=[*scored, *_said_rows(named), *_svm_rows(named), *_majority_rows(named, seen)],
        first=first,
        compared=compared,
        taught=pairs(named),
        curves={name: points(run.folder) for name, run in named.items()},
    )


def _named(runs: Sequence[Run]) -> dict[str, Run]:
    """Key the runs by folder name, or by path where two folders have one name."""
    names = [run.folder.resolve().name for run in runs]
    unique = names if len(set(names)) == len(runs) else [str(run.folder) for run in runs]
    return dict(zip(unique, runs, strict=True))


def _methods(named: Mapping[str, Run], seen: Mapping[str, Sequence[tuple[str, str, str]]]) -> dict[str, list[Run]]:
    """Put runs together that differ by seed alone and were scored on the same records, under the first one's name."""
    groups: list[list[str]] = []
    for name, run in named.items():
        for group in groups:
            seeds = {named[other].config.run.seed for other in group}
            alike = seen[group[0]] == seen[name] and _same_method(named[group[0]], run)
            if alike and run.config.run.seed not in seeds:
                group.append(name)
                break
        else:
            groups.append([name])
    title = {group[0]: f" ({len(group)} seeds)" if len(group) > 1 else "" for group in groups}
    return {first + title[first]: [named[name] for name in (first, *others)] for first, *others in groups}


def _same_method(one: Run, other: Run) -> bool:
    """Tell whether two runs differ by seed and place alone, and their teachers likewise."""
    changed = _beyond_seed(one.config, other.config)
    teachers = [run.path(str(run.config.teacher.get("path"))) / "config.yaml" for run in (one, other)]
    if changed != {"teacher.path"} or not all(path.is_file() for path in teachers):
        return not changed
    return not _beyond_seed(*(config.load([path], families=()) for path in teachers))


def _beyond_seed(one: config.Config, other: config.Config) -> set[str]:
    return config.differences(one, other).keys() - {"run.seed", "run.name", "run.dir", "run.resume"}


def _said_rows(named: Mapping[str, Run]) -> list[Scored]:
    """Return a row for each way in which `evaluate --mode` had a run's model answer beside the label tree."""
    rows = []
    for name, run in named.items():
        for mode, metrics in run.metrics.get("modes", {}).items():
            shares = [100 * task["no_label_share"] for task in metrics["tasks"].values()]
            kind = f"mode, {fmean(shares):.1f}% no label"
            rows.append(Scored(f"{name}, {mode}", kind, {"split": run.metrics["split"], **metrics}, {}))
    return rows


def _svm_rows(named: Mapping[str, Run]) -> list[Scored]:
    """Return the linear SVM that `evaluate --baselines` scored, once for all runs that it scored the same beside."""
    groups: dict[str, list[str]] = {}
    for name, run in named.items():
        if "baselines" in run.metrics:
            key = json.dumps([run.metrics["split"], run.metrics["baselines"]["linear SVM"]])
            groups.setdefault(key, []).append(name)
    rows = []
    for key, names in groups.items():
        split, metrics = json.loads(key)
        title = "linear SVM" if len(groups) == 1 else f"linear SVM ({', '.join(names)})"
        rows.append(Scored(title, "baseline", {"split": split, **metrics}, {}))
    return rows


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
