"""How the control plane logs: one line an event on stderr, tab separated."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from kuma_core.runtime.open_files import is_no_lack_of_files
from kuma_core.visible import escaped, one_line

GRPC = "grpc._cython.cygrpc"
"""The logger of the library's servers."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "off": logging.CRITICAL}


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


def configure(level: str, stream: TextIO | None = None) -> None:
    """Log events of ``level`` (off, info or debug) and above to ``stream``, by default stderr."""
    target = stream or sys.stderr
    structlog.configure(
        processors=[structlog.processors.add_log_level, _render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *names: _Line(names[0] if names else "kuma-cp", target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(_OfLibraries("%(asctime)s\t%(levelname)s\t%(name)s\t%(message)s"))
    handler.addFilter(is_no_lack_of_files)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.getLogger(GRPC).addFilter(_is_news)


class _OfLibraries(logging.Formatter):
    """Lines of others, which may repeat what a client sent: a message is one line, only a traceback has several."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback below it."""
        return escaped(super().format(record))


def _is_news(record: logging.LogRecord) -> bool:
    """A client that leaves in the middle of an answer is none, and would leave a traceback."""
    return not record.getMessage().startswith("ExecuteBatchError")


def _render(logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Time, level, logger, message, and the rest as JSON."""
    level, message = str(event.pop("level", "info")).upper(), str(event.pop("event", ""))
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        event["error"] = "".join(traceback.format_exception(error))
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    parts = [moment, level, logger.name, one_line(message.replace("\n", " "))]
    if event:
        parts.append(one_line(json.dumps(event, default=str, ensure_ascii=False)))
    return "\t".join(parts)
