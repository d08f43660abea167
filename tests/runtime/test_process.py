"""What the process of a control plane asks of its system."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys

import pytest

HEAPS = """
import ctypes, os, sys, threading
from kuma_core.runtime.process import _share_one_heap

_share_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fdopen.restype = ctypes.c_void_p
meet = threading.Barrier(8)

def work():
    meet.wait()
    for _ in range(1000):
        libc.malloc(1000)
    meet.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, file)
libc.fflush(file)
"""

glibc_only = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is no glibc")


def heaps(**settings: str) -> int:
    """How many heaps glibc has after eight threads asked for memory."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", HEAPS], env={**environ, **settings}, capture_output=True, text=True, check=True
    )
    return len(re.findall("<heap ", done.stdout))


@glibc_only
def test_all_threads_share_one_heap() -> None:
    assert heaps() == 1


@glibc_only
def test_the_operator_may_have_more() -> None:
    assert heaps(MALLOC_ARENA_MAX="4") > 1
