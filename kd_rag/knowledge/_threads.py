"""Share batches out to models of equal weights, a CPU thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(models: Sequence[Any], batches: Sequence[T], work: Callable[[Any, T], R]) -> Iterator[R]:
    """Yield `work(model, batch)` of each batch in order: one batch a thread, or all threads on one batch."""
    if len(models) < 2 or len(batches) < 2:
        yield from (work(models[0], batch) for batch in batches)
        return
    import torch

    idle: SimpleQueue[Any] = SimpleQueue()
    for model in models:
        idle.put(model)

    def borrow(batch: T) -> R:
        model = idle.get()
        try:
            return work(model, batch)
        finally:
            idle.put(model)

    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // len(models)))
    try:
        with ThreadPoolExecutor(len(models)) as pool:
            yield from pool.map(borrow, batches)
    finally:
        torch.set_num_threads(threads)
