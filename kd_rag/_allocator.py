"""The C library's allocator, told to keep the memory that tensors free."""

from __future__ import annotations

import ctypes
import os
import platform

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_NEVER = -1


def keep_freed_memory() -> None:
    """Let large tensors of this process be made in memory that earlier ones freed, where the C library is glibc.

    It maps every block above 32 MB anew and gives it back at once, so that the kernel clears its pages before each use:
    for 128 rows of 152k logits that takes longer than the product that fills them. A process then stays as large
    as it once was. Variables `MALLOC_*` that the user has set (mallopt(3)) are left as they are.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)
