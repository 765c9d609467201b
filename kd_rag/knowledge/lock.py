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
    """Hold the right to write to the store in `folder`.

    Raises InputError at once when another process holds it, or the folder cannot be written to.
    """
    file = folder / "writer.lock"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode()
            raise InputError(
                f"{folder}: process {holder} is writing to this knowledge base; run again when it is done"
            ) from None
        _name_holder(descriptor, file)
        yield
    finally:
        os.close(descriptor)


def _name_holder(descriptor: int, file: Path) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); make room and run again") from None
