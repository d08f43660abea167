"""A line of the log as text, in the formats that there are. Whatever an event holds, each gives one line.

What a terminal would obey is escaped in all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kuma_core.visible import escaped, one_line


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. ``foreign`` ones are of libraries: on a console their traceback stands below, as Python writes it."""

    moment: datetime
    level: str
    logger: str
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)
    foreign: bool = False

    @property
    def time(self) -> str:
        """When, in UTC, to the millisecond."""
        return self.moment.isoformat(timespec="milliseconds")


Format = Callable[[Entry], str]

TAKEN = ("time", "level", "logger", "msg")
"""The keys of what every line has; a value of an event that is called so gets a ``_`` behind its name."""


def console(entry: Entry) -> str:
    """Time, level, logger, message, and the rest as JSON, separated by tabs."""
    message = one_line(entry.message.replace("\n", " "))
    parts = [entry.time, entry.level.upper(), entry.logger, message]
    if entry.foreign:
        return "\n".join(["\t".join(parts), *(escaped(str(text)) for text in entry.values.values())])
    if entry.values:
        parts.append(_json(entry.values))
    return "\t".join(parts)


def as_json(entry: Entry) -> str:
    """One object."""
    return _json(_whole(entry))


def logfmt(entry: Entry) -> str:
    """``key=value`` pairs; what has a space, a quote or a ``=`` in it stands in quotes."""
    return " ".join(f"{_key(name)}={_value(value)}" for name, value in _whole(entry).items())


def _whole(entry: Entry) -> dict[str, Any]:
    first = (entry.time, entry.level, entry.logger, entry.message)
    renamed = {f"{name}_" if name in TAKEN else name: value for name, value in entry.values.items()}
    return dict(zip(TAKEN, first, strict=True)) | renamed


def _json(values: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(values, default=str, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # keys that are no texts, a circle
        text = json.dumps({name: str(value) for name, value in values.items()}, ensure_ascii=False)
    return one_line(text)


def _key(name: str) -> str:
    return "".join(c if c.isprintable() and c not in ' ="' else "_" for c in name) or "_"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else _json_value(value)
    if text and text.isprintable() and not any(c in ' ="\\' for c in text):
        return text
    return one_line(json.dumps(text, ensure_ascii=False))


def _json_value(value: Any) -> str:
    if isinstance(value, (bool, int, float)) or value is None:
        return json.dumps(value)
    found = _json({"v": value})
    return found[len('{"v": ') : -1]


FORMATS: Mapping[str, Format] = {"console": console, "logfmt": logfmt, "json": as_json}
