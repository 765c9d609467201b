"""The real command in processes that end otherwise than they should: `python -m tests.kb_builder.killing FOLDER TASK`.

Every run is a fork of this process, which has loaded the libraries once and started no thread. Printed is JSON, a list
of what became of each run.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

import psutil

from kb_builder.__main__ import COMMANDS
from kd_rag.cli import main
from kd_rag.knowledge import embedder

KILLS = 8
for name in ("chromadb", "sentence_transformers", "kb_builder.ingest", "kb_builder.sources", "kd_rag.config"):
    importlib.import_module(name)  # once, and not in every run


def forked(log, *argv, seconds=None, prepare=lambda: None, finish=lambda: None):
    """Run the command to its end, or kill it after so many seconds; return exit code (-9: killed) and duration."""
    begun = time.monotonic()
    child = os.fork()
    if not child:
        code = 1
        try:
            with log.open("w") as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
                prepare()
                code = main("kb", COMMANDS, argv)
                finish()
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - begun


def killed_at_random(folder):
    """Ingest two states in turn, the second of which replaces and prunes, and kill most of it; then finish."""

    def ingest(kb, state, **options):
        argv = ["ingest", str(folder / f"{state}.jsonl"), "--prune", f"knowledge.path={folder / kb}"]
        return forked(folder / f"{kb}.log", *argv, f"knowledge.embedder={folder / 'model'}", **options)

    code, seconds = ingest("whole", "second")
    rng, told = random.Random(0), [{"code": code}]
    for run in range(KILLS):
        state = ("first", "second")[run % 2]
        code, _ = ingest("killed", state, seconds=rng.uniform(0.1, 1) * seconds)
        manifest = folder / "killed" / "manifest.json"
        snapshot = json.loads(manifest.read_text())["snapshot"] if manifest.exists() else None
        told.append({"code": code, "snapshot": snapshot})
    return [*told, {"code": ingest("killed", "second")[0]}]


def out_of_room(folder):
    """Ingest more than the system lets a file hold; then again without a limit."""

    def ingest(state, letters=None):
        argv = ["ingest", str(folder / f"{state}.jsonl"), "--prune", f"knowledge.path={folder / 'kb'}"]
        limit = letters or resource.RLIM_INFINITY
        code, _ = forked(
            folder / "log",
            *argv,
            f"knowledge.embedder={folder / 'model'}",
            prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
        )
        snapshot = json.loads((folder / "kb" / "manifest.json").read_text())["snapshot"]
        return {"code": code, "said": (folder / "log").read_text(), "snapshot": snapshot}

    return [ingest("first"), ingest("second", 60_000), ingest("second", 400_000), ingest("second")]


class WithTokenizer:
    """A quick model that counts tokens by the tokenizer of another."""

    def __init__(self, model):
        self.tokenizer = embedder.load_embedder(embedder.PACKAGED).model.tokenizer
        self.rest = model

    def __getattr__(self, name):
        return getattr(self.rest, name)


def huge_document(folder):
    """Ingest a document of 50 MB; tell by how many bytes the memory of the process grew."""
    kept, load, before = folder / "memory", embedder.load_embedder, []
    quick = load(str(folder / "model"))
    chosen = dataclasses.replace(quick, model=WithTokenizer(quick.model), max_tokens=256)

    def prepare():
        embedder.load_embedder = lambda name, dtype: chosen
        before.append(psutil.Process().memory_info().rss)

    def finish():
        kept.write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before[0]))

    argv = ["ingest", str(folder / "book.txt"), f"knowledge.path={folder / 'kb'}"]
    code, _ = forked(folder / "log", *argv, prepare=prepare, finish=finish)
    return [{"code": code, "said": (folder / "log").read_text(), "bytes": int(kept.read_text())}]


if __name__ == "__main__":
    task = {"killed": killed_at_random, "room": out_of_room, "huge": huge_document}[sys.argv[2]]
    print(json.dumps(task(Path(sys.argv[1]))))
