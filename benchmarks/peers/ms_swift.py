"""ms-swift's GKD on the benchmark's records: `python -m benchmarks.peers.ms_swift JOB.json`.

The arguments are those of `swift rlhf --rlhf_type gkd`; with `lmbda` 0 it learns from the recorded answers,
which its template ends with a line break behind `<|im_end|>`: one token more than the others have. It shuffles the
records whatever it is told, and gives the student the teacher's logits in the head's 128 missing rows.
"""

from __future__ import annotations

import json
import tempfile

import torch
from swift.callbacks.mapping import callbacks_map
from swift.pipelines import rlhf_main

from benchmarks._settings import BATCH_RECORDS, LEARNING_RATE, LORA_ALPHA, LORA_RANK, THREADS
from benchmarks.peers._job import Job, StepTimes, read_job


def main() -> None:
    """Train for the job's steps, and print the measurement."""
    job = read_job()
    torch.set_num_threads(THREADS)
    times = StepTimes()
    callbacks_map["step_times"] = lambda args, trainer: times
    with tempfile.TemporaryDirectory() as output:
        rlhf_main([word for key, value in _arguments(job, output).items() for word in (f"--{key}", str(value))])
    print(json.dumps(times.result("ms-swift", job)))


def _arguments(job: Job, output: str) -> dict[str, str | float]:
    """Return forward KL in float32 on the CPU with an adapter on the language body, nothing recomputed or saved."""
    return {
        "rlhf_type": "gkd",
        "model": job.student,
        "model_type": "qwen2_vl",
        "template": "qwen2_vl",
        "teacher_model": job.teacher,
        "teacher_model_type": "qwen2_vl",
        "dataset": job.conversations,
        "output_dir": output,
        "lmbda": 0,
        "beta": 0,
        "temperature": 1,
        "tuner_type": "lora",
        "target_modules": "all-linear",
        "lora_rank": LORA_RANK,
        "lora_alpha": LORA_ALPHA,
        "lora_dropout": 0,
        "torch_dtype": "float32",
        "attn_impl": "sdpa",
        "use_cpu": "true",
        "check_model": "false",
        "max_steps": job.steps,
        "per_device_train_batch_size": BATCH_RECORDS,
        "gradient_accumulation_steps": 1,
        "learning_rate": LEARNING_RATE,
        "gradient_checkpointing": "false",
        "dataloader_num_workers": 0,
        "dataset_num_proc": 1,
        "split_dataset_ratio": 0,
        "logging_steps": 1,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "callbacks": "step_times",
    }


if __name__ == "__main__":
    main()
