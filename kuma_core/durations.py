"""Durations as operators write them: Go's notation (``1h30m``, ``500ms``), held as whole nanoseconds.

Integers, not floats: what was read is written back exactly. Only the standard library is used here.
"""

from __future__ import annotations

import re

NANOSECOND = 1
MICROSECOND = 1_000 * NANOSECOND
MILLISECOND = 1_000 * MICROSECOND
SECOND = 1_000 * MILLISECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_UNITS = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "\u00b5s": MICROSECOND,  # the micro sign
    "\u03bcs": MICROSECOND,  # the Greek letter mu, which looks the same
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_PART = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h)"
_DURATION = re.compile(rf"([-+]?)((?:{_PART})+|0)")
_SPLIT = re.compile(r"([0-9]*)\.?([0-9]*)([^0-9.]+)")
_LARGEST = 2**63 - 1  # as Go's int64: about 292 years
_LONGEST_TEXT = 128


def parse_duration(text: str) -> int:
    """Give the nanoseconds that a duration such as ``1h30m``, ``1.5s``, ``-5s`` or ``0`` stands for.

    The grammar is Go's ``time.ParseDuration``, which the configuration of 0.3.1 uses. Digits below one
    nanosecond are cut off. Raises ``ValueError`` with a sentence.
    """
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise ValueError(_not_a_duration(text))
    sign, parts = match.groups()
    total = sum(_nanoseconds(*part) for part in _SPLIT.findall(parts))
    if total > _LARGEST:
        raise ValueError(f'the duration "{text}" is too long; the longest is about 292 years')
    return -total if sign == "-" else total


def _nanoseconds(whole: str, fraction: str, unit: str) -> int:
    size = _UNITS[unit]
    return int(whole or "0") * size + int(fraction or "0") * size // int(10 ** len(fraction))


def _not_a_duration(text: str) -> str:
    shown = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
    return (
        f'"{shown}" is not a duration; write numbers with units, as in 500ms, 1.5s or 1h30m '
        "(the units are ns, us, ms, s, m and h)"
    )


def format_duration(nanoseconds: int) -> str:
    """Write nanoseconds as Go's ``time.Duration.String`` does: ``1m30s``, ``1.5s``, ``500ms``, ``0s``.

    ``parse_duration`` reads it back to the same number.
    """
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < SECOND:
        return sign + _below_a_second(rest)
    minutes, seconds = divmod(rest, MINUTE)
    hours, minutes = divmod(minutes, 60)
    text = _decimal(seconds, SECOND) + "s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def _below_a_second(nanoseconds: int) -> str:
    if nanoseconds == 0:
        return "0s"
    for unit, size in (("ms", MILLISECOND), ("\u00b5s", MICROSECOND)):
        if nanoseconds >= size:
            return _decimal(nanoseconds, size) + unit
    return f"{nanoseconds}ns"


def _decimal(amount: int, unit: int) -> str:
    """``amount / unit`` with all its digits and no trailing zeros; ``unit`` is a power of ten."""
    whole, rest = divmod(amount, unit)
    fraction = str(rest).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{fraction}" if fraction else str(whole)
