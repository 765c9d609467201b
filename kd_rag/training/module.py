"""The one LightningModule: a model, an injected objective, and evaluation by label likelihood.

`fit` gives it cross-entropy, `distill` an objective with a teacher, `evaluate` no objective at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import lightning as L  # noqa: N812 (the library's own convention)
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from kd_rag.config import Config
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.predictions import Prediction
from kd_rag.losses.objective import Objective
from kd_rag.models import VisionLanguageModel
from kd_rag.models._lora import load_trainable, trainable_state
from kd_rag.scoring.adjust import Adjustment
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.scoring.readout import read
from kd_rag.training.answers import predict
from kd_rag.training.optimizer import optimizer_and_schedule
from kd_rag.training.processes import add_up_gradients, gathered, summed, unshared
from kd_rag.types import Batch

Answer = Callable[[VisionLanguageModel, Batch], list[Prediction]]


class Distiller(L.LightningModule):
    """Train `model` on `objective` and score it on prompt batches.

    `trees` holds a label tree for each task; `adjust` makes predictions of the labels' log-likelihoods, None leaves
    these as they are. `answer` makes predictions in another way than by likelihood. Optimisation is manual because one
    training item is a whole optimiser step of several micro-batches, each term of which is divided by its count over
    the step: their gradients add up to that of one big batch, which a mean of means would miss.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        trees: Mapping[str, LabelTree],
        config: Config,
        objective: Objective | None = None,
        total_steps: int = 0,
        adjust: Adjustment | None = None,
        answer: Answer | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.trees = trees
        self.config = config
        self.objective = objective
        self.total_steps = total_steps
        self.adjust = adjust
        own = partial(predict, trees=trees, adjust=adjust, max_answer_tokens=config.reasoning.max_tokens)
        self.answer: Answer = answer or own
        self.predictions: list[Prediction] = []
        self.scores: dict[str, Any] = {}
        self.automatic_optimization = False
        self.strict_loading = False  # `on_load_checkpoint` checks the names itself, more strictly
        self._random_state: dict[str, Any] | None = None

    def configure_optimizers(self) -> Any:
        """Return AdamW and its schedule over the trainable weights."""
        optimizer, schedule = optimizer_and_schedule(self, self.config.trainer, self.total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Move the teacher, which is no submodule, to this process's device."""
        assert self.objective is not None
        if self.objective.teacher is not None:
            self.objective.teacher.to(self.device)

    def on_train_batch_start(self, step: Any, batch_idx: int) -> None:
        """Put back the random state of the checkpoint, once everything before the first step has drawn from it."""
        if self._random_state is not None:
            torch.set_rng_state(self._random_state["cpu"])
            if self._random_state["cuda"]:
                torch.cuda.set_rng_state_all(self._random_state["cuda"])
            self._random_state = None

    def training_step(self, step: Sequence[Batch], batch_idx: int) -> None:
        """Descend once on the micro-batches of `step`."""
        assert self.objective is not None
        optimizer, schedule = self._optimizer_and_schedule()
        progress = self.global_step / max(1, self.total_steps - 1)
        step = self._with_drawn_answers(step)
        counts = self._counts_of_step(step)
        totals = {name: torch.zeros((), device=self.device) for name in ("loss", *self.objective.names)}
        for batch in step:
            student, targets = read(self.model, batch, self.objective.needs, self.trees)
            terms = self.objective(batch, targets, student, counts, progress)
            self._check_finite(terms["loss"], batch)
            with unshared(self.trainer):
                self.manual_backward(terms["loss"])
            for name, term in terms.items():
                totals[name] += term.detach()
        add_up_gradients(self.trainer, self.parameters())
        self.clip_gradients(optimizer.optimizer, self.config.trainer.max_grad_norm, "norm")
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        for name, total in totals.items():
            self.log(f"train/{name}", summed(self.trainer, total), prog_bar=name == "loss")
        for name, (first, last) in self.objective.weights.items():
            if first != last:
                self.log(f"weight/{name}", self.objective.weight(name, progress))
        self.log("train/learning_rate", schedule.get_last_lr()[0])

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect the label probabilities of a prompt batch."""
        self.predict_step(batch)

    def predict_step(self, batch: Batch) -> int:
        """Collect them, and return how many."""
        found = self.answer(self.model, batch)
        self.predictions += found
        return len(found)

    def on_validation_epoch_start(self) -> None:
        """Forget the predictions of the evaluation before."""
        self.predictions = []

    def on_validation_epoch_end(self) -> None:
        """Score what was collected, over all processes, and log it."""
        self.predictions = gathered(self.trainer, self.predictions)
        labels = {task: tree.labels for task, tree in self.trees.items()}
        self.scores = score(self.predictions, labels, self.config.evaluation.bootstrap_samples, self.config.run.seed)
        self.log("valid/average_score", self.scores["average_score"], prog_bar=True)
        for task, scores in self.scores["tasks"].items():
            for name in ("accuracy", "weighted_f1", "macro_f1", "nll", "ece"):
                self.log(f"valid/{task}/{name}", scores[name])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the trainable weights, the objective's projections, and the random state that Lightning leaves out."""
        assert self.objective is not None
        checkpoint["state_dict"] = trainable_state(self.model)
        checkpoint["objective"] = self.objective.state_dict()
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        checkpoint["random_state"] = {"cpu": torch.get_rng_state(), "cuda": cuda}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load exactly the weights that are trainable here; anything else is an error."""
        assert self.objective is not None
        load_trainable(self.model, checkpoint["state_dict"])
        self.objective.load_state_dict(checkpoint["objective"])
        checkpoint["state_dict"] = {}
        self._random_state = checkpoint["random_state"]

    def _optimizer_and_schedule(self) -> tuple[LightningOptimizer, LRScheduler]:
        """Return what `configure_optimizers` made, one of each."""
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        assert isinstance(optimizer, LightningOptimizer) and isinstance(schedule, LRScheduler)  # noqa: PT018
        return optimizer, schedule

    def _with_drawn_answers(self, step: Sequence[Batch]) -> list[Batch]:
        """Replace the answers of `distill.on_policy.share` of the micro-batches by ones that the model draws."""
        policy = self.config.distill.on_policy
        assert self.objective is not None
        if self.objective.teacher is None or policy.share == 0:
            return list(step)
        rng = random.Random(f"{self.config.run.seed}/{self.global_step}/{self.global_rank}")
        drawn = [rng.random() < policy.share for _ in step]
        return [self._drawn(batch) if draw else batch for batch, draw in zip(step, drawn, strict=True)]

    def _drawn(self, batch: Batch) -> Batch:
        policy = self.config.distill.on_policy
        answers = self.model.sample(batch.inputs, policy.max_tokens, policy.temperature)
        return replace(batch, answers=answers, sampled=True)

    def _counts_of_step(self, step: Sequence[Batch]) -> Tensor:
        """Return what each term adds up over in this optimiser step, over all processes.

        A process may have no share of an epoch's last step, but it must meet the others wherever they exchange.
        """
        assert self.objective is not None
        nothing = torch.zeros(len(self.objective.names), dtype=torch.long)
        counts = sum((self.objective.counts(batch) for batch in step), nothing)
        return summed(self.trainer, counts.to(self.device))

    def _check_finite(self, loss: Tensor, batch: Batch) -> None:
        if not torch.isfinite(loss):
            ids = ", ".join(repr(e.record.id) for e in batch.examples)
            raise FloatingPointError(
                f"step {self.global_step}: the loss is {loss.item()} on records {ids}; the last checkpoint is "
                "unharmed: lower trainer.learning_rate or look at these records"
            )
