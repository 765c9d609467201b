"""Train a student from a teacher: cross-entropy mixed with a divergence from the teacher's distribution.

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
    from functools import partial

    from kd_rag import registry
    from kd_rag.commands._parts import open_model
    from kd_rag.commands._training import train
    from kd_rag.losses.objective import Distillation, Objective
    from kd_rag.models import VisionLanguageModel

    def objective(model: VisionLanguageModel) -> Objective:
        load = partial(open_model, config=config)
        return Distillation(
            registry.build("teachers", config.teacher, load, model.processor.id_digest()),
            registry.build("divergences", config.distill.divergence),
            temperature=config.distill.temperature,
            weight=config.distill.weight,
            vocabulary=model.processor.vocabulary,
        )

    train(config, "distill", objective)
