"""Writing an evaluation down, and its table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from kd_rag.commands._run_folder import write_json
from kd_rag.evaluation.calibration import details
from kd_rag.evaluation.predictions import read_predictions, write_predictions
from kd_rag.training.callbacks import Stopwatch
from kd_rag.training.module import Distiller


def write_scores(folder: Path, split: str, module: Distiller, leaks: Mapping[str, Any]) -> None:
    """Write `metrics.json` and `predictions-SPLIT.jsonl`, and print the scores.

    `leaks` counts what the scored records should not have found; it is empty where nothing was retrieved. Where the
    folder holds predictions of valid and another split is scored, the temperature is fitted on these.
    """
    write_predictions(folder / f"predictions-{split}.jsonl", module.predictions)
    held_out = folder / "predictions-valid.jsonl"
    valid = read_predictions(held_out) if split != "valid" and held_out.exists() else None
    labels = {task: tree.labels for task, tree in module.trees.items()}
    for task, found in details(module.predictions, labels, valid).items():
        module.scores["tasks"][task] |= found
    write_json(folder / "metrics.json", {"split": split, "leaks": dict(leaks), **module.scores})
    print(_table(split, module.scores))
    for task, scores in module.scores["tasks"].items():
        if "temperature_scaling" in scores:
            print(_scaling(task, scores["temperature_scaling"]))
    for name, beside in {**module.scores.get("baselines", {}), **module.scores.get("modes", {})}.items():
        print(_beside(name, beside))
    print(f"scores: {folder / 'metrics.json'}")


def write_speed(folder: Path, watch: Stopwatch, records: int, batch_size: int) -> None:
    """Write `speed.json`, which is not among the scores, as one seed repeats these to the last digit; and print it.

    A record waits for its whole batch, so the median of the batches is what a record takes at this size.
    """
    rate, latency = records / watch.seconds, median(watch.batch_seconds)
    speed = {"batch_size": batch_size, "records_per_second": rate, "median_batch_seconds": latency}
    write_json(folder / "speed.json", speed)
    print(f"speed: {rate:.2f} records/s, {1000 * latency:.0f} ms a batch, in batches of {batch_size}")


def _beside(name: str, scores: dict[str, Any]) -> str:
    by_task = [f"{task} {scores[f'{task}_score']:.2f}" for task in scores["tasks"]]
    shares = {task: found["no_label_share"] for task, found in scores["tasks"].items() if "no_label_share" in found}
    no_label = [f"{100 * share:.1f}% of {task}" for task, share in shares.items() if share]
    told = f"; no label: {', '.join(no_label)}" if no_label else ""
    return f"{name}: weighted F1 {', '.join(by_task)}, average {scores['average_score']:.2f}{told}"


def _scaling(task: str, scaling: dict[str, Any]) -> str:
    before, after = scaling["before"], scaling["after"]
    return (
        f"{task}: temperature {scaling['temperature']:.2f} of valid takes NLL from {before['nll']:.3f} to "
        f"{after['nll']:.3f}, ECE from {before['ece']:.3f} to {after['ece']:.3f}"
    )


def _table(split: str, scores: dict[str, Any]) -> str:
    lines = [f"{split:<16}{'n':>6}{'accuracy':>10}{'weighted F1':>13}{'95% interval':>16}{'NLL':>8}{'ECE':>8}"]
    for name, task in scores["tasks"].items():
        low, high = (100 * bound for bound in task["weighted_f1_ci95"])
        lines.append(
            f"{name:<16}{task['n']:>6}{100 * task['accuracy']:>10.2f}{100 * task['weighted_f1']:>13.2f}"
            f"{f'{low:.1f} to {high:.1f}':>16}{task['nll']:>8.3f}{task['ece']:>8.3f}"
        )
    return "\n".join([*lines, f"{'average':<16}{'':>16}{scores['average_score']:>13.2f}"])
