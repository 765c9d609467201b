"""How many processes go on at once: a number, and no more than there is memory for.

In: what makes a process. Out: the process, once there is a place for it. The first begins at once; a further one
waits until memory is free for it and for what the others may still ask for, taking each to grow as large as the largest
seen so far. What no process has asked for yet cannot be known, and memory of a GPU is not looked at.
"""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

import psutil

_WAIT_SECONDS = 1.0


class Places:
    """Places for processes of one command; it is shared by the threads that fill them, at most `at_once` of them."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._lock = Lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._largest_bytes = 0

    @contextmanager
    def started(self, start: Callable[[], subprocess.Popen[bytes]]) -> Iterator[subprocess.Popen[bytes]]:
        """Make a process when there is memory for it, and give its place back at the end."""
        process = self._try(start)
        while process is None:
            time.sleep(_WAIT_SECONDS)
            process = self._try(start)
        try:
            yield process
        finally:
            with self._lock:
                self._running.remove(process)

    def _try(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes] | None:
        with self._lock:
            sizes = [resident_bytes(process.pid) for process in self._running]
            self._largest_bytes = max([self._largest_bytes, ended_bytes(), *sizes])
            if sizes and free_bytes() < self._largest_bytes + sum(self._largest_bytes - size for size in sizes):
                return None
            self._running.append(start())
            return self._running[-1]


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
