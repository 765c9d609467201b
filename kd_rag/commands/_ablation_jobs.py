"""Make the run of a job, or what is missing of it, in processes of its own.

In: a `Job`. Out: a run folder `OUT/runs/NAME`, trained and scored, and `OUT/logs/NAME.log`; or why there is none.
After a kill at any moment the next call goes on from what is on disk. A lock that the process of a run inherits keeps
a second `ablate` off a run whose process outlived the first: it waits, and then finds the work done.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kd_rag import config as configuration
from kd_rag.commands._ablation_plan import Job
from kd_rag.commands._run_folder import MAY_CHANGE
from kd_rag.types import InputError


def check_unchanged(jobs: Sequence[Job], out: Path) -> None:
    """Write down what each job is told, or raise InputError where it was begun with other settings."""
    (out / "configs").mkdir(parents=True, exist_ok=True)
    for job in jobs:
        path = out / "configs" / f"{job.name}.yaml"
        if path.exists():
            found = configuration.differences(configuration.load([path], families=()), job.config)
            changed = {key: values for key, values in found.items() if key not in MAY_CHANGE}
            if changed:
                key, (before, now) = next(iter(changed.items()))
                raise InputError(
                    f"variant {job.variant!r}: {key} is {now!r}, but {out / 'runs' / job.name} was begun with "
                    f"{before!r}; choose another --out, or delete {path} and the run folder"
                )
        configuration.save(job.config, path)


def make_all(jobs: Sequence[Job], out: Path, split: str, at_once: int) -> dict[str, str | None]:
    """Make every job's run, `at_once` at a time; return, by run name, None or the last line of its error."""
    for folder in ("runs", "logs"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    made: dict[str, Future[str | None]] = {}

    def make(job: Job) -> str | None:
        if job.teacher is not None and made[job.teacher].result() is not None:
            return f"its teacher {job.teacher} failed"
        error = _make(job, out, split, at_once)
        print(f"{job.name}: {'done' if error is None else error}", flush=True)
        return error

    pool = ThreadPoolExecutor(at_once)  # teachers are submitted first, so no student can wait for one that never starts
    try:
        for job in jobs:
            made[job.name] = pool.submit(make, job)
        return {name: future.result() for name, future in made.items()}
    finally:
        pool.shutdown(cancel_futures=True)


def _make(job: Job, out: Path, split: str, at_once: int) -> str | None:
    folder, log = out / "runs" / job.name, out / "logs" / f"{job.name}.log"
    with _lock(log.with_suffix(".lock")) as lock:
        if not _is_trained(folder):
            resume = (folder / "checkpoints" / "last" / "manifest.json").is_file()
            if not resume:
                shutil.rmtree(folder, ignore_errors=True)
            words = [job.command, "--config", str(out / "configs" / f"{job.name}.yaml")]
            error = _kd_rag([*words, f"run.resume={str(resume).lower()}"], log, lock, at_once)
            if error:
                return error
        if _read(folder / "metrics.json").get("split") != split:
            return _kd_rag(["evaluate", "--run", str(folder), "--split", split], log, lock, at_once)
    return None


def _is_trained(folder: Path) -> bool:
    """Return whether training noted its last fact, which it does after its scores are written."""
    return "best_checkpoint" in _read(folder / "run.json")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


@contextmanager
def _lock(path: Path) -> Iterator[int]:
    """Hold a lock that ends with the last process that has it, waiting for it where need be."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _kd_rag(words: Sequence[str], log: Path, lock: int, at_once: int) -> str | None:
    """Run a command with its output in `log`; return None, or the last line of what it printed where it failed."""
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // at_once))} if at_once > 1 else {}
    with log.open("ab") as file:
        begin = file.tell()
        done = subprocess.run(
            [sys.executable, "-m", "kd_rag", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**threads, **os.environ},
            pass_fds=[lock],
        )
    if done.returncode == 0:
        return None
    printed = log.read_bytes()[begin:].decode("utf-8", "replace")
    lines = [line.strip() for line in re.split(r"[\r\n]", printed) if line.strip()]
    last = lines[-1] if lines else "it printed nothing"
    return f"{words[0]} exited with {done.returncode}: {last} (see {log})"
