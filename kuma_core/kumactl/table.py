"""Tables: how a value of JSON becomes a cell, and cells become lines.

Pure functions; the time is a parameter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kuma_core.model import CellFormat, Column
from kuma_core.visible import cell as shown

GAP = 3
"""Spaces between the widest cell of a column and the next column."""


def layout(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The lines of a table, with the header always; the last cell of a line is not padded."""
    lines = [list(header), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) + GAP for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells[:-1], widths[:-1], strict=True)]
    return "".join([*padded, cells[-1]])


def cell(item: Mapping[str, Any], column: Column, now: datetime) -> str:
    """The cell of an item in a column; the column's default where nothing is found."""
    values = [value for path in column.path.split("|") for value in _found(item, path.strip())]
    if not values and column.default:
        return column.default
    return _FORMATS[column.format](values, now)


def _found(item: Any, path: str) -> Iterator[Any]:
    """The values that a path leads to, as ``kuma_core.model.Column`` defines it; null counts as nothing."""
    names_only = path.endswith("?")
    values: list[Any] = [item]
    for step in path.removesuffix("?").split("."):
        values = [child for value in values for child in _step(value, step)]
    for value in values:
        if names_only and isinstance(value, dict):
            yield from value
        elif not names_only and value is not None:
            yield value


def _step(value: Any, step: str) -> list[Any]:
    if step == "*":
        return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value[step]] if isinstance(value, dict) and step in value else []


def as_text(values: Sequence[Any], _now: datetime) -> str:
    """Each value as JSON would write it, text without quotes; several are joined by commas."""
    return ",".join(v if isinstance(v, str) else json.dumps(v, sort_keys=True) for v in values)


def as_tags(values: Sequence[Any], _now: datetime) -> str:
    """Tag sets merged: keys sorted, ``key=v1,v2`` with distinct values sorted, pairs joined by one space."""
    merged: dict[str, set[str]] = {}
    for tags in values:
        for key, value in tags.items() if isinstance(tags, dict) else ():
            merged.setdefault(key, set()).add(as_text([value], _now))
    return " ".join(f"{key}={','.join(sorted(merged[key]))}" for key in sorted(merged))


def as_on_off(values: Sequence[Any], _now: datetime) -> str:
    """``on`` if any value is true, else ``off``."""
    return "on" if any(value is True for value in values) else "off"


def as_age(values: Sequence[Any], now: datetime) -> str:
    """How long ago the latest of the timestamps was, ``never`` without one."""
    times = [time for value in values if (time := timestamp(value)) is not None]
    return duration(now - max(times)) if times else "never"


def as_sum(values: Sequence[Any], _now: datetime) -> str:
    """The sum of the values; 64-bit numbers are text in JSON."""
    return str(sum(number(value) for value in values))


_FORMATS: dict[CellFormat, Callable[[Sequence[Any], datetime], str]] = {
    CellFormat.TEXT: as_text,
    CellFormat.TAGS: as_tags,
    CellFormat.ON_OFF: as_on_off,
    CellFormat.AGE: as_age,
    CellFormat.SUM: as_sum,
}


def number(value: Any) -> int:
    """An integer of JSON, a number or its text; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return 0
    try:
        return int(value)
    except ValueError:
        return 0


def timestamp(value: Any) -> datetime | None:
    """A timestamp of RFC 3339; None for anything else. Digits below the microsecond are dropped."""
    if not isinstance(value, str):
        return None
    whole, dot, rest = value.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    shortened = f"{whole}.{digits[:6]}{rest[len(digits) :]}" if dot else value
    try:
        time = datetime.fromisoformat(shortened)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def duration(span: timedelta) -> str:
    """A span cut to whole seconds in Go's notation: ``0s``, ``2m0s``, ``26h0m9s``, ``-3s``."""
    seconds = int(span.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    sign = "-" if seconds < 0 else ""
    parts = ([f"{hours}h"] if hours else []) + ([f"{rest // 60}m"] if hours or rest >= 60 else [])
    return f"{sign}{''.join(parts)}{rest % 60}s"
