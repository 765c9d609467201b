"""Reading many pictures: in this process when they are few, else in a pool of processes of one thread each.

In: the engine's component and paths. Out: each path with its lines, as soon as it is read.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_rag import pictures, registry
from kd_rag.types import TextLine

if TYPE_CHECKING:
    from kd_rag.ocr import Engine

_engine: Engine
"""The engine of a process of the pool."""
_FEW_PICTURES = 8
"""Fewer than this are read before a pool has started."""


def read_all(
    component: Mapping[str, Any], paths: Sequence[Path], processes: int
) -> Iterator[tuple[Path, tuple[TextLine, ...]]]:
    """Yield `(path, lines)` in the order in which pictures are done."""
    if len(paths) < _FEW_PICTURES or processes == 1:
        engine: Engine = registry.build("ocr", component)
        yield from ((path, engine.read(pictures.load_picture(path))) for path in paths)
        return
    pool = ProcessPoolExecutor(
        max_workers=min(processes, len(paths)),
        mp_context=multiprocessing.get_context("spawn"),  # a fork of a process with threads can hang
        initializer=_start,
        initargs=(dict(component),),
    )
    try:
        futures = {pool.submit(_read, path): path for path in paths}
        yield from ((futures[future], future.result()) for future in as_completed(futures))
    finally:
        pool.shutdown(cancel_futures=True)


def _start(component: dict[str, Any]) -> None:
    """Prepare a process of the pool: one thread, the engine, and an end when its parent's comes."""
    global _engine
    os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when the engine imports it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _engine = registry.build("ocr", component)


def _read(path: Path) -> tuple[TextLine, ...]:
    return _engine.read(pictures.load_picture(path))


def _end_with_parent() -> None:
    """End this process when its parent is killed; waiting for work, it would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this runs in a process of the pool"
    parent.join()
    os._exit(1)
