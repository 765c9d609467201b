"""Making a run folder and writing down what ran in it."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kd_rag import config as configuration
from kd_rag.config import Config
from kd_rag.durable import file_digest, write_whole
from kd_rag.types import InputError, Record

_PACKAGES = (
    "kd-rag",
    "torch",
    "transformers",
    "peft",
    "lightning",
    "chromadb",
    "sentence-transformers",
    "python-doctr",
    "rapidocr",
    "torchmetrics",
    "omegaconf",
    "scikit-learn",
    "tokenizers",
    "pillow",
)

MAY_CHANGE = ("run.resume", "trainer.num_workers", "cache_dir")
"""What a run may be resumed with that it did not begin with: none of it changes a number."""


class RunFolder:
    """The folder `run.dir/run.name`: made once, or opened again with `run.resume=true`."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.facts = facts
        self._started = time.monotonic() - facts.get("wall_seconds", 0.0)

    @classmethod
    def make(cls, config: Config, command: str) -> RunFolder:
        """Make the folder of a new run, or open the one to resume; InputError says which is wanted.

        A process that Lightning started opens the folder that the first one has made.
        """
        path = check_name(config)
        if config.run.resume or not is_first_process():
            return cls(path, json.loads((path / "run.json").read_text(encoding="utf-8")))
        (path / "checkpoints").mkdir(parents=True)
        configuration.save(config, path / "config.yaml")
        return cls(path, {"command": command, **_surroundings(), "seed": config.run.seed})

    def note(self, **facts: Any) -> None:
        """Add facts to `run.json`, with the wall time and the peak memory so far; the first process speaks for all."""
        if not is_first_process():
            return
        self.facts |= facts
        self.facts["wall_seconds"] = round(time.monotonic() - self._started, 1)
        self.facts["peak_memory_bytes"] = _peak_memory_bytes()
        write_json(self.path / "run.json", self.facts)


def is_first_process() -> bool:
    """Return whether the user started this process: Lightning runs its command again for each further device."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def check_name(config: Config) -> Path:
    """Return the run folder's path, or raise InputError if the name is missing, taken, or not there to resume."""
    if not config.run.name:
        raise InputError("run.name: is not set; name the run folder with run.name=NAME")
    path = Path(config.run.dir) / config.run.name
    if config.run.resume:
        if not (path / "checkpoints" / "last").exists():
            raise InputError(f"{path}: has no checkpoint to resume from; start it without run.resume=true")
    elif path.exists() and is_first_process():
        raise InputError(f"{path}: exists; choose another run.name, delete it, or set run.resume=true to continue it")
    return path


def check_unchanged(config: Config, path: Path, files: Mapping[str, Path]) -> None:
    """Raise InputError if the run at `path` began with other settings or data: its steps would be those of neither.

    `config` has the labels that were read from the records, as the saved one has.
    """
    begun = path / "config.yaml"
    found = configuration.differences(configuration.load([begun], families=()), config)
    changed = {key: values for key, values in found.items() if key not in MAY_CHANGE}
    if changed:
        key, (before, now) = next(iter(changed.items()))
        others = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise InputError(
            f"{key}: is {now!r}, but the run to resume began with {before!r}{others}; "
            f"resume it with --config {begun} run.resume=true"
        )
    known = json.loads((path / "run.json").read_text(encoding="utf-8"))["data"]
    for file, digest in _digests(files).items():
        if known.get(file) != digest:
            raise InputError(f"{file}: is not the file that the run to resume began with; bring it back, or begin anew")


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a part."""
    write_whole(path, [f"{json.dumps(value, ensure_ascii=False, indent=1)}\n".encode()])


def data_facts(files: Mapping[str, Path], train: Sequence[Record]) -> dict[str, Any]:
    """Return the digests of the record files and how often each label occurs in train."""
    return {"data": _digests(files), "train_label_counts": label_counts(train)}


def label_counts(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    """Return how often each label occurs, by task."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        if record.label is not None:
            counts.setdefault(record.task, Counter())[record.label] += 1
    return {task: dict(found) for task, found in counts.items()}


def _digests(files: Mapping[str, Path]) -> dict[str, str | None]:
    return {str(path): file_digest(path) for path in files.values()}


def _surroundings() -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "versions": versions,
        "git": _git_commit(),
        "cpu_count": os.cpu_count(),
        "machine": platform.platform(),
    }


def _git_commit() -> str | None:
    """Return the commit of the source tree this package runs from, None when it is installed without one."""
    here = Path(__file__).resolve().parent
    git = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return git.stdout.strip() or None


def _peak_memory_bytes() -> dict[str, int]:
    import torch

    peak = {"process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    if torch.cuda.is_available():
        peak["gpu"] = torch.cuda.max_memory_allocated()
    return peak
