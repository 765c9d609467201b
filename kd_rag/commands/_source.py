"""What `evaluate` and `predict` score with: a run, an exported folder, or any model that a configuration describes.

In: the command's `--run`, `--model`, `--config` and overrides. Out: the configuration, the model's path, and the label
counts behind the prior.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from kd_rag import config as configuration
from kd_rag.config import Config
from kd_rag.types import InputError

RECIPE, FACTS = "kd_rag.yaml", "kd_rag.json"
"""Files of an exported folder: the configuration it was trained with, and what its run noted."""


@dataclass(frozen=True)
class Source:
    """`train_label_counts` (task: label: views that training met) is None for a model of unknown training."""

    config: Config
    path: str
    train_label_counts: dict[str, dict[str, int]] | None


def open_source(args: argparse.Namespace) -> Source:
    """Return what `--run` or `--model` names; the command's own files and overrides win.

    Raises InputError for a folder that is neither, or for both at once.
    """
    if args.run and args.model:
        raise InputError("--run and --model: give one of them")
    if args.run:
        if not (Path(args.run) / "config.yaml").is_file():
            raise InputError(f"--run {args.run}: is no run folder (it has no config.yaml)")
        config = configuration.load([f"{args.run}/config.yaml", *args.config], args.overrides)
        return Source(config, args.run, _counts(Path(args.run) / "run.json"))
    if not args.model:
        config = configuration.load(args.config, args.overrides)
        return Source(config, config.model["path"], None)
    recipe = Path(args.model) / RECIPE
    files = [*([recipe] if recipe.is_file() else []), *args.config]
    config = configuration.load(files, [*args.overrides, f"model.path={args.model}"])
    return Source(config, args.model, _counts(recipe.with_name(FACTS)) if recipe.is_file() else None)


def _counts(facts: Path) -> dict[str, dict[str, int]]:
    noted = json.loads(facts.read_text(encoding="utf-8"))
    counts: dict[str, dict[str, int]] = noted.get("met_label_counts", noted["train_label_counts"])
    return counts
