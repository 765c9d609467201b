"""Freed memory is used again."""

import os
import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys, torch
from kd_rag._allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(32):
    torch.ones(16_000_000)
print(faults() - before)
"""


def _faults(mode: str, **environment: str) -> int:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", _FAULTS, mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=clean | environment)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_a_large_tensor_is_made_in_the_memory_of_one_that_was_freed() -> None:
    pages = 32 * 64_000_000 // os.sysconf("SC_PAGE_SIZE")
    assert _faults("kept") < pages // 2  # an aligned block at first finds no hole that is large enough
    assert _faults("kept", MALLOC_ARENA_MAX="4") == pytest.approx(_faults("as it is"), rel=0.1)
