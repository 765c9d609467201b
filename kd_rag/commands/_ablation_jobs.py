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
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kd_rag import config as configuration
from kd_rag.commands._ablation_memory import Places
from kd_rag.commands._ablation_plan import Job
from kd_rag.commands._run_folder import MAY_CHANGE
from kd_rag.evaluation.curves import evaluations
from kd_rag.types import InputError

INTERRUPTED = 130
"""The exit code of a command whose state is saved."""
_LOOK_SECONDS = 0.5
"""Between two looks at the evaluations of a run that may be stopped."""


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


def make_all(jobs: Sequence[Job], out: Path, split: str, places: Places) -> dict[str, str | None]:
    """Make every job's run, as many at a time as there are places; return, by run name, None or why it failed."""
    made: dict[str, Future[str | None]] = {}

    def make(job: Job) -> str | None:
        if job.teacher is not None and made[job.teacher].result() is not None:
            return f"its teacher {job.teacher} failed"
        error = make_run(job, out, split, places)
        print(f"{job.name}: {'done' if error is None else error}", flush=True)
        return error

    pool = ThreadPoolExecutor(
        places.at_once
    )  # teachers are submitted first, so no student can wait for one that never starts
    try:
        for job in jobs:
            made[job.name] = pool.submit(make, job)
        return {name: future.result() for name, future in made.items()}
    finally:
        pool.shutdown(cancel_futures=True)


def make_run(job: Job, out: Path, split: str, places: Places, stop: Callable[[], bool] | None = None) -> str | None:
    """Make what is missing of a job's run; return None, or the last line of the error.

    `stop`, asked again and again while it trains, ends training in order: the state is saved, and the error says so.
    """
    for name in ("runs", "logs"):
        (out / name).mkdir(parents=True, exist_ok=True)
    folder, log = out / "runs" / job.name, out / "logs" / f"{job.name}.log"
    with _lock(log.with_suffix(".lock")) as lock:
        if not _is_trained(folder):
            resume = (folder / "checkpoints" / "last" / "manifest.json").is_file()
            if not resume:
                shutil.rmtree(folder, ignore_errors=True)
            words = [job.command, "--config", str(out / "configs" / f"{job.name}.yaml")]
            begun = len(evaluations(folder))

            def grown() -> bool:
                return len(evaluations(folder)) > begun  # it has trained and scored

            error = _kd_rag([*words, f"run.resume={str(resume).lower()}"], log, lock, places, grown, stop)
            if error:
                return error
        if _read(folder / "metrics.json").get("split") != split:
            return _kd_rag(["evaluate", "--run", str(folder), "--split", split], log, lock, places, lambda: False)
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


def _kd_rag(
    words: Sequence[str],
    log: Path,
    lock: int,
    places: Places,
    grown: Callable[[], bool],
    stop: Callable[[], bool] | None = None,
) -> str | None:
    """Run a command with its output in `log`; return None, or the last line of what it printed where it failed.

    `grown` says whether its process has grown as large as it will, as far as one sees while it goes on.
    """
    shared = places.at_once > 1
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // places.at_once))} if shared else {}
    with log.open("ab") as file:
        begin = file.tell()

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [sys.executable, "-m", "kd_rag", *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**threads, **os.environ},
                pass_fds=[lock],
            )

        with places.started(start, grown) as process:
            code = _ended(process, stop)
    if code == 0:
        return None
    printed = log.read_bytes()[begin:].decode("utf-8", "replace")
    lines = [line.strip() for line in re.split(r"[\r\n]", printed) if line.strip()]
    last = lines[-1] if lines else "it printed nothing"
    return f"{words[0]} exited with {code}: {last} (see {log})"


def _ended(process: subprocess.Popen[bytes], stop: Callable[[], bool] | None) -> int:
    """Wait for a process, and interrupt it once where `stop` says so; return its exit code.

    Raises KeyboardInterrupt where the process was interrupted by somebody else: then so are we.
    """
    while stop is not None:
        try:
            process.wait(_LOOK_SECONDS)
            break
        except subprocess.TimeoutExpired:
            if stop():
                process.send_signal(signal.SIGINT)  # a second one would end it before its state is saved
                return process.wait()
    if process.wait() == INTERRUPTED:
        raise KeyboardInterrupt
    return process.returncode
