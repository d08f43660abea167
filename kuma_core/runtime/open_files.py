"""How many files may be open, what of them each port of proxies gets, and what is told when none is left."""

from __future__ import annotations

import logging
import os

import structlog

from kuma_core.counted import CountedLine
from kuma_core.runtime.descriptors import EXHAUSTED, allowed

KEPT_FILES = 8_192
"""Open files that are left for HTTP servers, which have bounds of their own, the store and everything else; of few two
thirds of them."""
MOST_CONNECTIONS = 20_000
"""On each port of proxies, however many files may be open. A connection over TLS costs some 50 kB."""


def most_connections(ports: int) -> int:
    """How many connections each of some ports may have, so that there are files left for the rest."""
    limit = allowed()
    return min(MOST_CONNECTIONS, max(1, (limit - min(KEPT_FILES, limit * 2 // 3)) // ports))


_none_left = CountedLine(
    structlog.get_logger("kuma-cp.run"), "error", "no more files can be opened: connections have to wait"
)


def is_no_lack_of_files(record: logging.LogRecord) -> bool:
    """A filter. Servers try to accept a connection again and again, and would log a traceback each time that no file
    is left: that is told once a minute instead."""
    error = record.exc_info[1] if record.exc_info else None
    said = f"{error} {record.getMessage()}"
    if not any(os.strerror(number) in said for number in EXHAUSTED):
        return True
    remedy = f"raise the limit of open files, which is {allowed()}, or find out who connects so often"
    _none_left("", remedy=remedy)
    return False
