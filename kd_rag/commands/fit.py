"""Fine-tune a model (LoRA by default) on labelled records: the teacher, or a student alone.

Writes the run folder run.dir/run.name. Example:
  python -m kd_rag fit --config configs/demo/base.yaml --config configs/demo/teacher.yaml run.name=mine
"""

from __future__ import annotations

import argparse

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Train on cross-entropy."""
    from kd_rag import config as configuration

    config = configuration.load(args.config, args.overrides)  # first: a wrong key is told before torch is loaded
    from kd_rag.commands._objective import cross_entropy
    from kd_rag.commands._training import train

    train(config, "fit", cross_entropy)
