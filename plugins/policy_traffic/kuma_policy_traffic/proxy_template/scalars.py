"""Single values of proto3 JSON: numbers, text, bytes, durations, timestamps. Every error is a ``ValueError``.

The messages say what was expected and what was there; who calls knows where.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from kuma_core.sdk import parse_duration, shown

_RANGES = {
    **dict.fromkeys(("int32", "sint32", "sfixed32"), (-(2**31), 2**31 - 1)),
    **dict.fromkeys(("int64", "sint64", "sfixed64"), (-(2**63), 2**63 - 1)),
    **dict.fromkeys(("uint32", "fixed32"), (0, 2**32 - 1)),
    **dict.fromkeys(("uint64", "fixed64"), (0, 2**64 - 1)),
}
_LARGEST_FLOAT = 3.4028234663852886e38
_WHOLE = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?")


def scalar(kind: str, value: Any) -> Any:
    """A value of a protobuf type, ``int32`` for example."""
    if kind in _RANGES:
        return _integer(value, *_RANGES[kind])
    return _READERS[kind](value)


def wrapped(kind: str, value: Any) -> Any:
    """The plain value of a well-known type, ``Duration`` or ``UInt32Value`` for example."""
    return _WRAPPED[kind](value)


def _wrong(expected: str, value: Any) -> ValueError:
    return ValueError(f"expected {expected}, got {shown(value)}")


def _integer(value: Any, least: int, most: int) -> int:
    is_whole_text = isinstance(value, str) and _WHOLE.fullmatch(value)
    is_whole_float = isinstance(value, float) and value.is_integer()
    number = int(value) if is_whole_text or is_whole_float else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise _wrong("a whole number", value)
    if not least <= number <= most:
        raise _wrong(f"a whole number from {least} to {most}", value)
    return number


def _double(value: Any) -> float:
    number = value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        number = float(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise _wrong("a number", value)
    if abs(number) > _LARGEST_DOUBLE:
        raise _wrong("a number that a computer can hold", value)
    return float(number)


def _float(value: Any) -> float:
    number = _double(value)
    if abs(number) > _LARGEST_FLOAT:
        raise _wrong("a number of single precision", value)
    return number


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    hint = " (put it in quotes)" if isinstance(value, int | float) else ""
    raise _wrong("text", value) if not hint else ValueError(f"expected text, got {shown(value)}{hint}")


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong("true or false", value)
    return value


def _bytes(value: Any) -> bytes:
    """Base64, standard or safe for URLs, with or without padding."""
    text = _text(value).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("base64 text", value) from None


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str):
        raise _wrong("a duration in quotes such as 5s", value)
    nanoseconds = parse_duration(value)
    if nanoseconds < 0:
        raise _wrong("a duration that is not negative", value)
    if nanoseconds % 1000:
        raise _wrong("a duration of whole microseconds", value)
    if nanoseconds >= _TOO_LONG:
        raise _wrong("a duration below 9223372036s", value)
    return timedelta(microseconds=nanoseconds // 1000)


def _timestamp(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        raise _wrong("an RFC 3339 timestamp such as 2020-01-15T08:00:00Z", value) from None
    if moment.tzinfo is None:
        raise _wrong("a timestamp with a time zone", value)
    return moment


_TOO_LONG = 9_223_372_036 * 10**9
"""Nanoseconds; Envoy counts them in 63 bits."""
_LARGEST_DOUBLE = 1.7976931348623157e308
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "double": _double,
    "float": _float,
    "string": _text,
    "bool": _bool,
    "bytes": _bytes,
}
_WRAPPED: Mapping[str, Callable[[Any], Any]] = {
    "Duration": _duration,
    "Timestamp": _timestamp,
    "BoolValue": _bool,
    "StringValue": _text,
    "BytesValue": _bytes,
    "DoubleValue": _double,
    "FloatValue": _float,
    "Int32Value": lambda value: scalar("int32", value),
    "Int64Value": lambda value: scalar("int64", value),
    "UInt32Value": lambda value: scalar("uint32", value),
    "UInt64Value": lambda value: scalar("uint64", value),
}
WRAPPERS = frozenset(f"google.protobuf.{kind}" for kind in _WRAPPED)
"""The well-known types that JSON writes as a single value."""
