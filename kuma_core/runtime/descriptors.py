"""File descriptors: how many a process may have, and some that are kept back for those who ask whether it is alive."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

KEPT_BACK = 16
"""How many descriptors nobody gets but the diagnostics server."""

EXHAUSTED = (errno.EMFILE, errno.ENFILE)


def allow_many() -> bool:
    """Raise the limit as far as it goes, less what is kept back; ``False`` if the system refuses.

    Each proxy is an open file; the soft limit, often 1024, is for programs that still use select(2).
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = most if most == resource.RLIM_INFINITY or most <= 2 * KEPT_BACK else most - KEPT_BACK
    return _set(soft)


def allowed() -> int:
    """How many descriptors the process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if soft == resource.RLIM_INFINITY else soft


@contextmanager
def reserve() -> Iterator[None]:
    """What is opened meanwhile may take a descriptor that is kept back."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and soft < most:
        _set(min(most, soft + KEPT_BACK))
    try:
        yield
    finally:
        _set(soft)


def _set(soft: int) -> bool:
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        return True
    return False


def tell_exhausted(log: Any, server: str, times: int) -> None:
    """Say that a server could accept nobody, so many times since it said so last."""
    log.error(
        "no descriptor is left for a connection; raise the limit of open files (LimitNOFILE in systemd)",
        server=server,
        limit=allowed(),
        times=times,
    )
