"""What a peer is asked to do, and how its steps are timed; needs `transformers` only, which every peer has.

In: a JSON file with the fields of `Job`. Out: one JSON line.
"""

from __future__ import annotations

import importlib.metadata
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from benchmarks import _memory
from benchmarks._settings import BATCH_RECORDS


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement: folders of teacher and student, a conversations file, and the number of optimiser steps.

    The first step warms up and is not measured. With `generated_tokens`, a peer that can trains on answers of so many
    tokens at most which its student generates, not on those of the file.
    """

    teacher: str
    student: str
    conversations: str
    prompt_tokens: int
    steps: int
    generated_tokens: int = 0


def read_job() -> Job:
    """Return the job whose file is named on the command line."""
    return Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))


class StepTimes(TrainerCallback):
    """Note when each step ended, its loss, and the memory that training takes.

    A step lasts from the end of the one before: reading, encoding and padding its records are part of it.
    """

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.losses: list[float] = []
        self.resident_bytes = 0
        self.trainable_parameters = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        weights = kwargs["model"].parameters()
        self.trainable_parameters = sum(weight.numel() for weight in weights if weight.requires_grad)
        self.resident_bytes = _memory.reset_peak()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.ends.append(time.perf_counter())

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if "loss" in kwargs["logs"]:
            self.losses.append(kwargs["logs"]["loss"])

    def result(self, package: str, job: Job) -> dict[str, Any]:
        """Return the measurement; of `peak_memory_bytes`, `resident_bytes` were there before the first step."""
        assert len(self.ends) == job.steps, f"{len(self.ends)} steps were taken, {job.steps} asked for"
        seconds = [end - start for start, end in zip(self.ends, self.ends[1:], strict=False)]
        return {
            "peer": package,
            "version": importlib.metadata.version(package),
            "prompt_tokens": job.prompt_tokens,
            "records_per_second": BATCH_RECORDS * len(seconds) / sum(seconds),
            "step_seconds_median": statistics.median(seconds),
            "peak_memory_bytes": _memory.peak(),
            "resident_bytes": self.resident_bytes,
            "trainable_parameters": self.trainable_parameters,
            "loss": self.losses,
            "job": asdict(job),
        }
