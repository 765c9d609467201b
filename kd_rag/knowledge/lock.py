"""One writer at a time: two processes that write one Chroma store destroy it without any error.

The lock is the operating system's (flock): it is free again as soon as its holder ends, however that happens. A command
takes it before it begins to work, and what it calls may take it again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

from kd_rag.types import InputError

_held: set[tuple[int, Path]] = set()
"""Thread and folder of each right that this process holds; the system would refuse it to the same process as well."""


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the right to write to the store in `folder`, which is made if need be.

    Raises InputError at once when another process holds it, or the folder cannot be written to.
    """
    right = (get_ident(), folder.resolve())
    if right in _held:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"knowledge.path={folder}: the folder cannot be made ({error.strerror})") from None
    file = folder / "writer.lock"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror})") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "another"  # that has not named itself yet
            raise InputError(
                f"{folder}: process {holder} is writing to this knowledge base; run again when it is done"
            ) from None
        _name_holder(descriptor, file)
        _held.add(right)
        yield
    finally:
        _held.discard(right)
        os.close(descriptor)


def _name_holder(descriptor: int, file: Path) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}); make room and run again") from None
