"""How many processes go on at once: a number, and no more than there is memory for.

In: what makes a process. Out: the process, once there is a place for it. The first begins at once. A further one waits
until it is known how large such a process grows, and then until as much is free for it and for what the others may
still ask for, in the machine's memory and in that of the first GPU.
"""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import psutil
import torch

_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A process, and whether it has grown as large as it will."""

    process: subprocess.Popen[bytes]
    grown: Callable[[], bool]


class Places:
    """Places for processes of one command; it is shared by the threads that fill them, at most `at_once` of them."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._lock = Lock()
        self._running: list[Running] = []
        self._known = False
        self._largest_bytes = 0
        self._largest_gpu_bytes = 0
        self._idle_gpu_bytes = 0

    @contextmanager
    def started(
        self, start: Callable[[], subprocess.Popen[bytes]], grown: Callable[[], bool]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Make a process when there is memory for it, and give its place back at the end.

        `grown` says whether it has done all that takes memory; one that ended well has.
        """
        running = self._try(start, grown)
        while running is None:
            time.sleep(_WAIT_SECONDS)
            running = self._try(start, grown)
        try:
            yield running.process
        finally:
            with self._lock:
                self._known |= running.process.returncode == 0 or grown()
                self._running.remove(running)

    def _try(self, start: Callable[[], subprocess.Popen[bytes]], grown: Callable[[], bool]) -> Running | None:
        with self._lock:
            if self._running and not self._has_room():
                return None
            if not self._running:
                self._idle_gpu_bytes = free_gpu_bytes()
            self._running.append(Running(start(), grown))
            return self._running[-1]

    def _has_room(self) -> bool:
        """Whether one more fits, each taken to grow as large as the largest so far; on a GPU that is a mean."""
        sizes = [resident_bytes(running.process.pid) for running in self._running]
        self._largest_bytes = max([self._largest_bytes, ended_bytes(), *sizes])
        on_gpu = (self._idle_gpu_bytes - free_gpu_bytes()) // len(sizes)
        self._largest_gpu_bytes = max(self._largest_gpu_bytes, on_gpu)
        self._known |= any(running.grown() for running in self._running)
        more = self._largest_bytes + sum(self._largest_bytes - size for size in sizes)
        fits_gpu = (len(sizes) + 1) * self._largest_gpu_bytes <= self._idle_gpu_bytes
        return self._known and more <= free_bytes() and fits_gpu


def resident_bytes(process: int) -> int:
    """Return the memory of a process, 0 of one that has just ended."""
    try:
        return int(psutil.Process(process).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def ended_bytes() -> int:
    """Return the largest memory that an ended process of ours ever had."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def free_bytes() -> int:
    """Return the memory that processes may still ask for without driving others out."""
    return int(psutil.virtual_memory().available)


def free_gpu_bytes() -> int:
    """Return the free memory of the first GPU, 0 where there is none."""
    return torch.cuda.mem_get_info(0)[0] if torch.cuda.is_available() else 0
