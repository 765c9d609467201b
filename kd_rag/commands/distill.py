"""Train a student from a teacher: cross-entropy mixed with what the teacher expects of tokens, labels or layers.

The teacher is teacher.path: a run folder, a model folder or a hub id. Example:
  python -m kd_rag distill --config configs/demo/base.yaml --config configs/demo/distill.yaml run.name=mine
"""

from __future__ import annotations

import argparse

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Train on the distillation objective."""
    from kd_rag import config as configuration

    config = configuration.load(args.config, args.overrides)  # first: a wrong key is told before torch is loaded
    from kd_rag.commands._objective import distillation
    from kd_rag.commands._training import train

    train(config, "distill", distillation)
