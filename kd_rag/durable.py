"""Files that are whole or not there, whatever happens to the process, the machine's power or the disk's free space.

In: a path and its content. Out: the file, flushed to disk before it gets its name. Several processes may write into one
folder, even the same file: each writes beside it under a name of its own, and the last one stays.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from kd_rag.types import InputError

_PARTIAL = ".partial"


def write_whole(file: Path, blocks: Iterable[bytes]) -> str:
    """Write `blocks` to `file`, in place of one of that name, and return the SHA-256 of its content; make its folder.

    Raises InputError when it cannot be written, such as on a full disk; a file of that name is then as it was.
    """
    digest, partial = hashlib.sha256(), file.with_name(f".{file.name}.{uuid.uuid4().hex}{_PARTIAL}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as stream:
            for block in blocks:
                digest.update(block)
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
        flush(file.parent)
    except OSError as error:
        raise InputError(
            f"{file}: cannot be written ({error.strerror}); what was stored before is intact: make room and run again"
        ) from None
    finally:
        with suppress(OSError):  # half a file keeps a full disk full; the first error is the one to tell
            partial.unlink()
    return digest.hexdigest()


def file_digest(file: Path) -> str | None:
    """Return the SHA-256 of a file's content, or None when it cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def remove_partial(folder: Path) -> None:
    """Delete what killed writers left half written in `folder`, which nobody else may be writing to."""
    for file in folder.glob(f"*{_PARTIAL}"):
        file.unlink()


def flush(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
