"""How the control plane logs: one line an event on stderr, in one of three formats."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from kuma_core.log_formats import FORMATS, Entry, Format
from kuma_core.log_levels import IN_FORCE, LEVELS, Levels, parse_levels
from kuma_core.runtime.open_files import is_no_lack_of_files

GRPC = "grpc._cython.cygrpc"
"""The logger of the library's servers."""


class _Line:
    """Where lines of one named logger go."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write a line; a closed stderr costs the line, not the control plane."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody is left to be told

    debug = info = warning = error = critical = msg


def configure(levels: str, stream: TextIO | None = None, format: str = "console") -> None:
    """Log events of ``levels``, such as ``info,xds=debug``, and above to ``stream``, by default stderr.

    ``format`` is one of ``FORMATS``. Raises ``ValueError`` for levels that are none.
    """
    target, written = stream or sys.stderr, FORMATS[format]
    structlog.configure(
        processors=[_wanted, structlog.processors.add_log_level, _Renderer(written)],
        logger_factory=lambda *names: _Line(names[0] if names else "kuma-cp", target),
        cache_logger_on_first_use=False,
    )
    IN_FORCE.follow(_filter_early)
    IN_FORCE.change(parse_levels(levels))
    handler = logging.StreamHandler(target)
    handler.setFormatter(_OfLibraries(written))
    handler.addFilter(is_no_lack_of_files)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.getLogger(GRPC).addFilter(_is_news)


def notice(format: str) -> Callable[[str], str]:
    """Makes a line of a sentence about the log itself."""
    written = FORMATS[format]
    return lambda words: written(Entry(datetime.now(UTC), "warning", "log", words))


def _filter_early(levels: Levels) -> None:
    """What no component tells costs next to nothing; ``_wanted`` tells components apart. Loggers are made anew for each
    line, so that this holds from the next one on."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(levels.lowest))


def _wanted(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Let pass what the level of the logger lets pass."""
    if not IN_FORCE.wants(logger.name, LEVELS.get(method, LEVELS["error"])):
        raise structlog.DropEvent
    return event


class _Renderer:
    """The last step of a line: from an event to its text."""

    def __init__(self, format: Format) -> None:
        self._format = format

    def __call__(self, logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        level, message = str(event.pop("level", "info")), str(event.pop("event", ""))
        error = event.pop("exc_info", None)
        if isinstance(error, BaseException):
            event["error"] = "".join(traceback.format_exception(error))
        return self._format(Entry(datetime.now(UTC), level, logger.name, message, event))


class _OfLibraries(logging.Formatter):
    """Lines of others, which may repeat what a client sent. Below ``console`` a traceback has lines of its own."""

    def __init__(self, format: Format) -> None:
        super().__init__()
        self._format = format

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the traceback."""
        below = {"error": self.formatException(record.exc_info)} if record.exc_info else {}
        moment = datetime.fromtimestamp(record.created, UTC)
        return self._format(
            Entry(moment, record.levelname.lower(), record.name, record.getMessage(), below, foreign=True)
        )


def _is_news(record: logging.LogRecord) -> bool:
    """A client that leaves in the middle of an answer is none, and would leave a traceback."""
    return not record.getMessage().startswith("ExecuteBatchError")
