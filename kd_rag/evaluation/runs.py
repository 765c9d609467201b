"""A finished run folder, read back and checked.

In: a folder with `config.yaml`, `run.json`, `metrics.json` and `predictions-SPLIT.jsonl`. Out: a `Run`. Keys
that are needed are checked here, once; others may come and go.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kd_rag import config
from kd_rag.evaluation.predictions import Prediction, read_predictions
from kd_rag.types import InputError

_NUMBER = (int, float)
_RUN_KEYS = {"command": str, "train_label_counts": dict}
_METRICS_KEYS = {"split": str, "tasks": dict, "average_score": _NUMBER}
_TASK_KEYS = {"n": int, "weighted_f1": _NUMBER, "nll": _NUMBER, "ece": _NUMBER, "weighted_f1_ci95": list}
_LABEL_KEYS = {"precision": _NUMBER, "recall": _NUMBER, "f1": _NUMBER, "support": int}
_REMEDY = "finish the run with `fit` or `distill`, or score it with `evaluate`"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run folder holds; `facts` is `run.json`, and `predictions` are those that `metrics` scores."""

    folder: Path
    config: config.Config
    facts: Mapping[str, Any]
    metrics: Mapping[str, Any]
    predictions: list[Prediction]

    def path(self, name: str) -> Path:
        """Return a path of the configuration: relative ones are so to where the run was made, not to where we are."""
        place, folder = Path(self.config.run.dir, str(self.config.run.name)), self.folder.resolve()
        known = folder.parts[-len(place.parts) :] == place.parts
        return Path(*folder.parts[: -len(place.parts)], name) if known else Path(name)


def read_run(folder: Path) -> Run:
    """Read a run folder; raises InputError naming the file that is missing or broken, and the remedy."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such run folder; give the path of one, such as runs/NAME")
    for name in ("config.yaml", "run.json", "metrics.json"):
        _needed(folder / name)
    facts, metrics = _read_json(folder / "run.json"), _read_json(folder / "metrics.json")
    _check(facts, _RUN_KEYS, f"{folder / 'run.json'}")
    _check_metrics(metrics, f"{folder / 'metrics.json'}")
    predictions = read_predictions(_needed(folder / f"predictions-{metrics['split']}.jsonl"))
    run = Run(folder, config.load([folder / "config.yaml"], families=()), facts, metrics, predictions)
    _check_agreement(run)
    return run


def _needed(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: is missing; {_REMEDY}")
    return path


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not JSON ({error}); {_REMEDY}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: is not a JSON object but {type(found).__name__}; {_REMEDY}")
    return found


def _check_metrics(metrics: Mapping[str, Any], where: str) -> None:
    _check(metrics, _METRICS_KEYS, where)
    for name, task in metrics["tasks"].items():
        _check(task, {**_TASK_KEYS, "per_label": dict}, f"{where}: tasks.{name}")
        for label, scores in task["per_label"].items():
            _check(scores, _LABEL_KEYS, f"{where}: tasks.{name}.per_label.{label}")


def _check(found: Any, needed: Mapping[str, Any], where: str) -> None:
    if not isinstance(found, dict):
        raise InputError(f"{where} is {found!r}, it should hold {', '.join(needed)}; {_REMEDY}")
    for key, kind in needed.items():
        if not isinstance(found.get(key), kind):
            state = f"is {found[key]!r}" if key in found else "is missing"
            raise InputError(f"{where}: key {key!r} {state}; {_REMEDY}")


def _check_agreement(run: Run) -> None:
    """Refuse a folder whose files come from different moments: no table made of it would be true."""
    stated = {name: task["n"] for name, task in run.metrics["tasks"].items()}
    found = dict(Counter(prediction.task for prediction in run.predictions))
    if not found or found != stated:
        raise InputError(
            f"{run.folder}: metrics.json scores the records {stated}, but "
            f"predictions-{run.metrics['split']}.jsonl holds {found}; score the run again with `evaluate`"
        )
    for name in stated:
        if not run.facts["train_label_counts"].get(name):
            where = f"{run.folder / 'run.json'}: train_label_counts"
            raise InputError(f"{where} has no label of task {name!r}; {_REMEDY}")
