"""What TensorBoard shows beside the curves: settings, a few prompts with their pictures, and how sure each label is.

In: evaluations of a run. Out: summaries in its event file, some hundred kilobytes in all: pictures are small and shown
once, histograms have ten bins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812 (the library's own convention)
import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from kd_rag import _config_layers as layers
from kd_rag.training.module import Distiller
from kd_rag.types import Batch, Example

PROMPTS = 4
"""Prompts shown, of records with a picture where the first batches have them."""
PIXELS = 224
"""Longer side of a picture shown."""
SCORE = "valid/average_score"
"""The curve that stands beside the settings."""


class Summaries(L.Callback):
    """Write the settings at the start, prompts at the first evaluation, histograms of p(gold) by label at each."""

    def __init__(self) -> None:
        self._shown = 0
        self._began_at: int | None = None

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write the settings for the tab of hyperparameters, beside the score that runs are sorted by."""
        assert isinstance(module, Distiller)
        writer = _writer(trainer)
        if writer is not None:
            settings = {key: _plain(value) for key, value in layers.flat(module.config).items()}
            for summary in hparams(settings, {SCORE: 0.0}):  # type: ignore[no-untyped-call]
                # The score names the curve only: `add_hparams` would write a value into it.
                writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]

    def on_validation_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Batch, *args: Any
    ) -> None:
        """Show prompts of the first evaluation with the picture that they are about."""
        assert isinstance(module, Distiller)
        self._began_at = trainer.global_step if self._began_at is None else self._began_at
        writer = _writer(trainer)
        if writer is None or trainer.global_step != self._began_at:
            return
        for row, example in enumerate(batch.examples):
            if self._shown < PROMPTS and example.dialogue.pictures:
                name = f"prompt {self._shown}"
                writer.add_text(name, _fenced(_prompt(module, batch, row), example), trainer.global_step)
                picture = example.dialogue.pictures[0].copy()
                picture.thumbnail((PIXELS, PIXELS))
                writer.add_image(name, np.asarray(picture), trainer.global_step, dataformats="HWC")
                self._shown += 1

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write how probable each label's records make it."""
        assert isinstance(module, Distiller)
        writer = _writer(trainer)
        if writer is None:
            return
        by_label: dict[str, list[float]] = {}
        for p in module.predictions:
            if p.label is not None:
                by_label.setdefault(f"p of gold, {p.task}/{p.label}", []).append(p.probabilities[p.label])
        for name, values in by_label.items():
            writer.add_histogram(name, np.array(values), trainer.global_step, bins=np.linspace(0, 1, 11).tolist())


def write_final_scores(folder: Path, split: str, scores: Mapping[str, Any]) -> None:
    """Write what `evaluate` scored beside the curves of the run, under names that no curve has."""
    with SummaryWriter(folder) as writer:
        writer.add_scalar(f"final/{split}/average_score", scores["average_score"])
        for task, found in scores["tasks"].items():
            for name in ("accuracy", "weighted_f1", "macro_f1", "nll", "ece"):
                writer.add_scalar(f"final/{split}/{task}/{name}", found[name])


def _writer(trainer: L.Trainer) -> SummaryWriter | None:
    """Return the event file of the first process; evaluations without a run folder have none."""
    writes = isinstance(trainer.logger, TensorBoardLogger) and trainer.is_global_zero
    return trainer.logger.experiment if writes else None  # type: ignore[union-attr]


def _plain(value: Any) -> str | int | float | bool:
    """Return a value that the tab can show: lists and nulls as JSON."""
    return value if isinstance(value, str | int | float | bool) else json.dumps(value, ensure_ascii=False)


def _prompt(module: Distiller, batch: Batch, row: int) -> str:
    """Return the prompt as the model reads it, each picture's run of tokens as one."""
    processor = module.model.processor
    ids = batch.inputs.input_ids[row][batch.inputs.attention_mask[row].bool()].tolist()
    kept = [token for i, token in enumerate(ids) if token != processor.picture_token_id or ids[i - 1] != token]
    tokenizer: Any = processor.tokenizer
    return str(tokenizer.decode(kept))


def _fenced(prompt: str, example: Example) -> str:
    """Return a prompt as a Markdown block of code: four spaces keep any text from becoming markup."""
    block = "\n".join(f"    {line}" for line in prompt.splitlines())
    identity, label = (json.dumps(name, ensure_ascii=False) for name in (example.record.id, example.record.label))
    return f"record {identity}, gold {label}\n\n{block}"
