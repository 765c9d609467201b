"""One writer at a time: two processes that write one Chroma store destroy it without any error.

The lock is the operating system's (flock): it is free again as soon as its holder ends, however that happens.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kd_rag.types import InputError


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the right to write to the store in `folder`; raise InputError at once when another process holds it."""
    with (folder / "writer.lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise InputError(
                f"{folder}: process {file.read()} is writing to this knowledge base; run again when it is done"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
