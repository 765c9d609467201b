"""The Lightning trainer, set up for this project: one pass over optimiser steps, evaluation at chosen ones of them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812 (the library's own convention)
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from kd_rag.config import TrainerConfig
from kd_rag.data.sampling import StepSampler
from kd_rag.models._lora import load_trainable
from kd_rag.training.callbacks import Checkpoints, EvaluationLog, Evaluations, StopOnSignal
from kd_rag.training.checkpoints import FolderCheckpoints, load_weights, verified
from kd_rag.training.module import Distiller
from kd_rag.training.tensorboard import Summaries
from kd_rag.types import InputError

# Its notes on hardware that is not there and on products to install would bury our own lines.
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


PRECISIONS = ("32-true", "bf16-mixed")
"""With half precision throughout, small steps would not change a weight; `model.dtype` keeps frozen weights so."""


def training(config: TrainerConfig, folder: Path, sampler: StepSampler) -> L.Trainer:
    """Return the trainer of `fit` and `distill`, which writes into the run folder `folder`.

    All steps are one Lightning epoch: the sampler knows the records' epochs, and a run can stop and go on at any
    step without meeting an edge.
    """
    checkpoints = Checkpoints(folder / "checkpoints")
    evaluations = Evaluations(evaluation_steps(config.val_check_interval, sampler))
    return L.Trainer(
        max_epochs=1,
        max_steps=sampler.total_steps,
        val_check_interval=sampler.total_steps,  # until `Evaluations` says otherwise
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=TensorBoardLogger(folder, name="", version=""),
        log_every_n_steps=1,
        callbacks=[
            evaluations,
            EvaluationLog(folder / "metrics.jsonl", sampler.steps_per_epoch),
            Summaries(),
            checkpoints,
            StopOnSignal(checkpoints, evaluations),
            TQDMProgressBar(),
        ],
        plugins=[FolderCheckpoints()],
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=folder,
        precision=checked_precision(config),
        accelerator=config.accelerator,
        devices=config.devices,
    )


def evaluation_steps(interval_epochs: float, sampler: StepSampler) -> list[int]:
    """Return after which steps to evaluate: those nearest to each multiple of `interval_epochs`, and the last one.

    Raises InputError if the interval is not above 0.
    """
    if not interval_epochs > 0:
        raise InputError(f"trainer.val_check_interval: expected a number of epochs above 0, found {interval_epochs}")
    gap = max(1.0, interval_epochs * sampler.steps_per_epoch)
    between = (round(gap * place) for place in range(1, int(sampler.total_steps / gap) + 1))
    return [*(step for step in between if step < sampler.total_steps), sampler.total_steps]


def evaluating(config: TrainerConfig, *callbacks: L.Callback) -> L.Trainer:
    """Return a trainer that only scores and writes nothing."""
    return L.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[TQDMProgressBar(), *callbacks],
        precision=checked_precision(config),
        accelerator=config.accelerator,
        devices=1,
    )


def checked_precision(config: TrainerConfig) -> Any:
    """Return `trainer.precision`; raises InputError for one in which small steps would not change a weight."""
    if config.precision not in PRECISIONS:
        raise InputError(f"trainer.precision: expected {' or '.join(PRECISIONS)}, found {config.precision!r}")
    return config.precision


def descend(trainer: L.Trainer, module: L.LightningModule, loaders: L.LightningDataModule, resume: str | None) -> None:
    """Run the steps, from the checkpoint `resume` on if there is one; raises KeyboardInterrupt when interrupted."""
    try:
        trainer.fit(module, loaders, ckpt_path=resume)
    except SystemExit:  # Lightning's answer to KeyboardInterrupt, after its own clean-up
        raise KeyboardInterrupt from None


def score_best(trainer: L.Trainer, module: Distiller, loaders: L.LightningDataModule, checkpoints: Path) -> Path:
    """Let `module` hold the predictions and scores of the best checkpoint; return its folder.

    It holds them already where the evaluation after the last step was of the best one. A run that resumed behind that
    step has made no evaluation, and several processes score other batches than one does, which rounds otherwise.
    """
    best, last = (verified(checkpoints / name).resolve() for name in ("best", "last"))
    if best != last or not module.predictions or trainer.world_size > 1:
        load_trainable(module.model, load_weights(best))
        evaluating(module.config.trainer).validate(module, datamodule=loaders, verbose=False)
    return best
