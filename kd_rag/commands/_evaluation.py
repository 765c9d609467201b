"""Writing an evaluation down, and its table for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kd_rag.commands._run_folder import write_json
from kd_rag.evaluation.predictions import write_predictions
from kd_rag.training.module import Distiller


def write_scores(folder: Path, split: str, module: Distiller) -> None:
    """Write `metrics.json` and `predictions-SPLIT.jsonl` and print the scores."""
    write_predictions(folder / f"predictions-{split}.jsonl", module.predictions)
    write_json(folder / "metrics.json", {"split": split, **module.scores})
    print(_table(split, module.scores))
    print(f"scores: {folder / 'metrics.json'}")


def _table(split: str, scores: dict[str, Any]) -> str:
    lines = [f"{split:<16}{'n':>6}{'accuracy':>10}{'weighted F1':>13}{'95% interval':>16}{'NLL':>8}{'ECE':>8}"]
    for name, task in scores["tasks"].items():
        low, high = (100 * bound for bound in task["weighted_f1_ci95"])
        lines.append(
            f"{name:<16}{task['n']:>6}{100 * task['accuracy']:>10.2f}{100 * task['weighted_f1']:>13.2f}"
            f"{f'{low:.1f} to {high:.1f}':>16}{task['nll']:>8.3f}{task['ece']:>8.3f}"
        )
    return "\n".join([*lines, f"{'average':<16}{'':>16}{scores['average_score']:>13.2f}"])
