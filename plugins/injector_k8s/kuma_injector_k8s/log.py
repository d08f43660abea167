"""What kuma-injector tells of its own work: lines on stderr, as those of a control plane."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime

from kuma_core.sdk.programs import Entry, console

_LEVELS = {"off": 0, "info": 1, "debug": 2}


class Log:
    """Lines of time, level, logger, message and values. ``level`` is ``off``, ``info`` or ``debug``."""

    def __init__(self, level: str) -> None:
        self._level = _LEVELS[level]

    def debug(self, message: str, **values: object) -> None:
        """For whoever looks for a mistake."""
        if self._level >= 2:
            self._write("debug", message, values)

    def info(self, message: str, **values: object) -> None:
        """What happened."""
        if self._level >= 1:
            self._write("info", message, values)

    def warning(self, message: str, **values: object) -> None:
        """What somebody should look at."""
        if self._level >= 1:
            self._write("warning", message, values)

    def _write(self, level: str, message: str, values: dict[str, object]) -> None:
        line = console(Entry(datetime.now(UTC), level, "injector", message, values))
        with suppress(OSError, ValueError):  # a full disk, or a stderr that was closed
            print(line, file=sys.stderr, flush=True)
