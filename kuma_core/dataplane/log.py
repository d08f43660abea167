"""What kuma-dp tells about its own work, on stderr; what Envoy tells goes there as well, untouched.

The standard library's ``logging`` would cost every data plane half a megabyte for a dozen lines.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime

from kuma_core.visible import one_line

_LEVELS = {"off": 0, "info": 1, "debug": 2}


class Log:
    """Tab-separated lines: time, level, logger, message and a JSON object of values, if there are any.

    ``level`` is ``off``, ``info`` or ``debug``.
    """

    def __init__(self, level: str, name: str = "kuma-dp.run") -> None:
        self._level = _LEVELS[level]
        self._name = name
        self._lost = 0

    def info(self, message: str, **values: object) -> None:
        """Write one line if the level is ``info`` or ``debug``."""
        if self._level >= 1:
            self._write("INFO", message, values)

    def debug(self, message: str, **values: object) -> None:
        """Write one line if the level is ``debug``."""
        if self._level >= 2:
            self._write("DEBUG", message, values)

    def always(self, level: str, message: str, **values: object) -> None:
        """Write one line whatever the level is, for what an operator has to know."""
        self._write(level, message, values)

    @property
    def envoys_level(self) -> str:
        """What Envoy is to tell: its warnings and errors always, its start-up only to whoever asks for such lines."""
        return "info" if self._level else "warning"

    def _write(self, level: str, message: str, values: dict[str, object]) -> None:
        """Write a line, unless nobody takes it: a proxy is not held up by its log. The next line says how many went."""
        import json

        if not _takes_lines():
            self._lost += 1
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self._lost:
            values, self._lost = {**values, "lostLines": self._lost}, 0
        extra = [json.dumps(values, default=str)] if values else []
        line = "\t".join([time, level, self._name, one_line(message), *extra])
        with suppress(OSError, ValueError):  # a full disk, or a stderr that was closed
            print(line, file=sys.stderr, flush=True)


def _takes_lines() -> bool:
    """Whether stderr takes a line at once: the pipe has room, the terminal is not stopped. Files always do."""
    import select

    try:
        poll = select.poll()
        poll.register(sys.stderr.fileno(), select.POLLOUT)
        return bool(poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no file at all
        return True
