"""The types of fields for which JSON has no type of its own, and how their values are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from kuma_core.durations import SECOND, parse_duration


@dataclass(frozen=True, slots=True)
class Shown:
    """Marks a type whose values JSON does not show as they are, and says what it shows instead: a text."""

    write: Callable[[Any], str]

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A text, as it is shown; clients may send it so too."""
        shown = handler(core_schema)
        return shown if shown.get("type") == "string" else {"type": "string"}


def _integer(value: Any) -> Any:
    """proto3 JSON takes a quoted number for an integer of any width."""
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit():
        return int(value)
    return value


def _timestamp(value: Any) -> Any:
    """Text with an offset, as a moment in UTC; anything else is left for pydantic to refuse."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("expected an RFC 3339 timestamp such as 2020-01-15T08:00:00Z") from None
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError("the timestamp lacks a time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the timestamp lies outside of the years 1 to 9999") from None


def _duration(value: Any) -> Any:
    """Go's grammar is read; a number without a unit is refused."""
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError("expected a duration in quotes, such as 10s, 1.5s or 1h30m")


def format_seconds(nanoseconds: int) -> str:
    """A duration as proto3 JSON has it: seconds with 0, 3, 6 or 9 fractional digits, as in ``1.500s``."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    whole, fraction = divmod(rest, SECOND)
    digits = f"{fraction:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{sign}{whole}{'.' if digits else ''}{digits}s"


def format_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with 0, 3 or 6 fractional digits."""
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    fine = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=fine if moment.microsecond else "seconds") + "Z"


UInt32 = Annotated[int, Field(ge=0, lt=2**32), BeforeValidator(_integer)]
UInt64 = Annotated[int, Field(ge=0, lt=2**64), BeforeValidator(_integer), Shown(str)]
Duration = Annotated[int, BeforeValidator(_duration), Shown(format_seconds)]
"""Whole nanoseconds."""
Timestamp = Annotated[datetime, BeforeValidator(_timestamp), Shown(format_timestamp)]
Tags = Annotated[Mapping[str, str], AfterValidator(MappingProxyType)]
