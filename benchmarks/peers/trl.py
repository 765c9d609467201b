"""TRL's `DistillationTrainer` on the benchmark's records: `python -m benchmarks.peers.trl JOB.json`.

TRL distils on answers that the student generates. Unless the job asks for these, the recorded answers stand in for
them, so that a step costs no generation and has the tokens of every other contestant; the rest of the step is TRL's
own. It refuses heads of different widths: the job's teacher must have the student's.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from PIL import Image
from trl import DistillationConfig, DistillationTrainer

from benchmarks import _conversations
from benchmarks._conversations import Conversation
from benchmarks._settings import BATCH_RECORDS, LEARNING_RATE, LORA_ALPHA, LORA_RANK, LORA_TARGETS, THREADS
from benchmarks.peers._job import Job, StepTimes, read_job


class RecordedAnswers(DistillationTrainer):  # type: ignore[misc]
    """TRL's trainer with the records' answers, in the order of the records, in the place of generated ones."""

    def __init__(self, conversations: list[Conversation], **settings: Any) -> None:
        super().__init__(**settings)
        texts = (f"{c.answer}<|im_end|>" for c in conversations)
        self.answers = itertools.cycle([self._tokenizer(text).input_ids for text in texts])

    def _generate_single_turn(self, prompt_ids: list[list[int]], *inputs: Any, **settings: Any) -> list[list[int]]:
        return list(itertools.islice(self.answers, len(prompt_ids)))


def main() -> None:
    """Train for the job's steps, and print the measurement."""
    job = read_job()
    torch.set_num_threads(THREADS)
    conversations = _conversations.read(Path(job.conversations))
    rows = [{"prompt": c.prompt(), "images": [Image.open(c.picture).convert("RGB")]} for c in conversations]
    times = StepTimes()
    with tempfile.TemporaryDirectory() as output:
        trainer_class = DistillationTrainer if job.generated_tokens else partial(RecordedAnswers, conversations)
        trainer = trainer_class(
            model=job.student,
            teacher_model=job.teacher,
            args=_settings(job, output),
            train_dataset=Dataset.from_list(rows),
            peft_config=LoraConfig(r=LORA_RANK, lora_alpha=LORA_ALPHA, target_modules=LORA_TARGETS),
            callbacks=[times],
        )
        trainer.train()
    print(json.dumps(times.result("trl", job)))


def _settings(job: Job, output: str) -> DistillationConfig:
    """Return forward KL in float32 on the CPU, nothing recomputed, nothing saved."""
    return DistillationConfig(
        output_dir=output,
        beta=0.0,
        max_completion_length=job.generated_tokens or None,
        max_steps=job.steps,
        per_device_train_batch_size=BATCH_RECORDS,
        learning_rate=LEARNING_RATE,
        shuffle_dataset=False,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        model_init_kwargs={"dtype": "float32"},
        teacher_model_init_kwargs={"dtype": "float32"},
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


if __name__ == "__main__":
    main()
