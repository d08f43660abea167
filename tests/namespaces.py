"""A network namespace for a test: a loopback of its own, on which all well-known ports are free."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_HOLD = "ip link set lo up && echo ready && exec sleep infinity"


@contextmanager
def network_namespace() -> Iterator[list[str]]:
    """Yields the words that put a command into a new namespace; skips the test where there are none."""
    if not (shutil.which("unshare") and shutil.which("nsenter") and shutil.which("ip")):
        pytest.skip("no network namespaces here: install util-linux and iproute2")
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", _HOLD], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip("no network namespaces here: run as root, or allow unprivileged ones")
        yield ["nsenter", f"--target={holder.pid}", "--net"]
    finally:
        holder.kill()
        holder.wait(timeout=10)
        if holder.stdout is not None:
            holder.stdout.close()
