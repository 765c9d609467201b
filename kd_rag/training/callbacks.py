"""What happens around the steps: the evaluation log, the checkpoints, and an orderly stop on a signal."""

from __future__ import annotations

import json
import signal
import time
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L  # noqa: N812 (the library's own convention)

from kd_rag.durable import write_whole
from kd_rag.training.checkpoints import FolderCheckpoints, link
from kd_rag.training.module import Distiller


class Evaluations(L.Callback):
    """Let Lightning evaluate after each of `steps` (rising): it knows equal distances only, so it is told the next."""

    def __init__(self, steps: Sequence[int]) -> None:
        self.steps = steps

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Let a run that resumes behind an evaluation see that this one is done."""
        self._aim(trainer, trainer.global_step)

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        """Look ahead from the step that begins."""
        self._aim(trainer, trainer.global_step + 1)

    def _aim(self, trainer: L.Trainer, step: int) -> None:
        trainer.val_check_batch = self.steps[bisect_left(self.steps, step)]


class EvaluationLog(L.Callback):
    """Append one line to `metrics.jsonl` for each evaluation: step, epoch (a fraction) and all scores."""

    def __init__(self, path: Path, steps_per_epoch: int) -> None:
        self.path = path
        self.steps_per_epoch = steps_per_epoch

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Drop the lines of steps that a resumed run will do again."""
        if trainer.is_global_zero and self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]  # a kill may have cut the last one
            kept = [line for line in whole if json.loads(line)["step"] <= trainer.global_step]
            write_whole(self.path, [line.encode() for line in kept])

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write the evaluation that has just ended."""
        assert isinstance(module, Distiller)
        if trainer.is_global_zero:
            epoch = trainer.global_step / self.steps_per_epoch
            line = {"step": trainer.global_step, "epoch": round(epoch, 4), **module.scores}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


class Stopwatch(L.Callback):
    """Measure an evaluation: the whole with the making of batches in `seconds`, each batch's pass of the model alone.

    A batch's time has the device's work in it, since predictions are read back before the batch ends.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.batch_seconds: list[float] = []
        self._began = self._batch_began = 0.0

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Start both."""
        self._began = time.perf_counter()

    def on_validation_batch_start(self, *args: Any) -> None:
        """Start a batch."""
        self._batch_began = time.perf_counter()

    def on_validation_batch_end(self, *args: Any) -> None:
        """Stop a batch."""
        now = time.perf_counter()
        self.batch_seconds.append(now - self._batch_began)
        self.seconds = now - self._began


class Checkpoints(L.Callback):
    """Write a checkpoint after each evaluation; `last` is the newest, `best` the one with the highest average score.

    The other folders are deleted. Of equal scores the earlier stays `best`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best_score = float("-inf")

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs to know."""
        return {"best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.best_score = state_dict["best_score"]

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Delete what a killed process left behind its last checkpoint, for there may be no other evaluation."""
        if trainer.is_global_zero:
            self._prune()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Save the state after an evaluation."""
        assert isinstance(module, Distiller)
        better = module.scores["average_score"] > self.best_score
        self.best_score = max(self.best_score, module.scores["average_score"])
        self.save(trainer, *(("best", "last") if better else ("last",)))
        if trainer.is_global_zero:
            self._prune()

    def save(self, trainer: L.Trainer, *names: str) -> None:
        """Write `step-N` and point `names` at it, in this order.

        `last` comes behind `best`: its state says that the best score is reached, so a run that resumes from it would
        not point `best` at this step again.
        """
        folder = self.folder / f"step-{trainer.global_step:08d}"
        trainer.save_checkpoint(folder)
        if trainer.is_global_zero:
            for name in names:
                link(folder, name)

    def _prune(self) -> None:
        kept = {(self.folder / name).resolve() for name in ("last", "best")}
        for folder in self.folder.glob("*step-*"):  # half-written ones begin with a dot
            if folder.resolve() not in kept:
                FolderCheckpoints().remove_checkpoint(folder)


class StopOnSignal(L.Callback):
    """On SIGINT or SIGTERM finish the step and its evaluation, save, and stop; a second signal stops at once.

    Stands behind `checkpoints` among the callbacks, and stops behind an evaluation that is due after the step: a run
    that resumes would not make it up. With several processes, a signal to one of them stops all.
    """

    def __init__(self, checkpoints: Checkpoints, evaluations: Evaluations) -> None:
        self.checkpoints = checkpoints
        self.evaluations = evaluations
        self.received = False
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Take over the two signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Save and stop if a signal came during the step and no evaluation follows."""
        if trainer.global_step not in self.evaluations.steps and self._received_by_any(trainer):
            self.checkpoints.save(trainer, "last")
            raise KeyboardInterrupt

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Stop if a signal came during the step or its evaluation, whose checkpoint is written."""
        if self._received_by_any(trainer):
            raise KeyboardInterrupt

    def teardown(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _received_by_any(self, trainer: L.Trainer) -> bool:
        return trainer.strategy.reduce_boolean_decision(self.received, all=False)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True
