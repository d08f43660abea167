"""The log as a control plane writes it, for tests that read lines and not events."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from kuma_core.log_levels import IN_FORCE, Levels
from kuma_core.runtime import logs


@contextmanager
def logged(levels: str = "info", format: str = "json") -> Iterator[io.StringIO]:
    """What is logged meanwhile; everything is as it was before afterwards."""
    written, handlers = io.StringIO(), list(logging.root.handlers)
    logs.configure(levels, written, format)
    try:
        yield written
    finally:
        IN_FORCE.follow(lambda levels: None)
        IN_FORCE.change(Levels())
        structlog.reset_defaults()
        logging.root.handlers[:] = handlers


@contextmanager
def logged_elsewhere() -> Iterator[None]:
    """What a control plane in this process logs goes past whoever captures what programs print."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
    try:
        yield
    finally:
        structlog.reset_defaults()
