"""A model that answers where no trainer runs, one batch after the other, as a trainer's model would.

In: a model, its label trees and a configuration. Out: for each prompt batch a `Prediction` for each row.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from lightning.fabric import Fabric

from kd_rag.config import Config
from kd_rag.evaluation.predictions import Prediction
from kd_rag.models import VisionLanguageModel
from kd_rag.scoring.adjust import Adjustment
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.training.answers import predict
from kd_rag.training.trainer import checked_precision
from kd_rag.types import Batch

logging.getLogger("lightning.fabric").setLevel(logging.WARNING)  # its note on a precision that was asked for


class Answers:
    """A model that stays on the device and in the precision that a trainer would give it."""

    def __init__(
        self, model: VisionLanguageModel, trees: Mapping[str, LabelTree], adjust: Adjustment | None, config: Config
    ) -> None:
        precision = checked_precision(config.trainer)
        self._fabric = Fabric(accelerator=config.trainer.accelerator, devices=1, precision=precision)
        self.model = model.eval()
        self.model.to(self._fabric.device)
        self._trees, self._adjust, self._max_answer_tokens = trees, adjust, config.reasoning.max_tokens

    @property
    def device(self) -> torch.device:
        """Where the model is, and its inputs have to be."""
        return self._fabric.device

    def precision(self) -> AbstractContextManager[None]:
        """Return the context that the model is called in."""
        return self._fabric.autocast()

    def __call__(self, batch: Batch) -> list[Prediction]:
        """Return the prediction of each row of a prompt batch."""
        with self.precision():
            return predict(self.model, batch.to(self.device), self._trees, self._adjust, self._max_answer_tokens)
