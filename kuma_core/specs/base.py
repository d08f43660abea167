"""The base of every spec, and the JSON mapping of section 1.3 of the API specification.

Input takes lowerCamelCase and snake_case; output is lowerCamelCase without zero values. An explicitly given
empty list, map or message survives. Unknown fields are dropped, and told.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from kuma_core.documents import shown
from kuma_core.durations import SECOND, parse_duration
from kuma_core.errors import MalformedResource, Violation


class Spec(BaseModel):
    """The part of a resource that its owner writes.

    Subclasses declare fields in schema order and override ``violations`` for rules that a type cannot say.
    Instances are frozen and shared between threads.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", strict=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, raw: Any) -> Any:
        if isinstance(raw, Mapping) and None in raw.values():
            return {key: value for key, value in raw.items() if value is not None}
        return raw

    @classmethod
    def from_stored(cls, document: Any) -> Self:
        """Read what ``to_stored`` gave; raises ``MalformedResource`` or ``ValueError``."""
        return parse_spec(cls, document)[0]

    def to_stored(self) -> Any:
        """The spec as JSON data for a store; an object, unless a kind says otherwise."""
        return to_document(self)

    @classmethod
    def unknown_fields(cls, raw: Mapping[str, Any], path: str) -> Iterator[str]:
        """The paths, below ``path``, of what is dropped because nobody knows it."""
        return _unknown(cls, raw, path)

    @classmethod
    def misread(cls, raw: Mapping[str, Any]) -> Iterator[Violation]:
        """What would be dropped of a written document although it decides what the rest means."""
        return iter(())

    def with_defaults(self) -> Self:
        """The spec as it is stored, with what the system fills in."""
        return self

    def violations(self) -> Iterator[Violation]:
        """Every rule that the spec breaks, in the order of the specification."""
        return iter(())


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
    """Go's grammar is read; a number without a unit is refused (specification 1.3)."""
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError("expected a duration in quotes, such as 10s, 1.5s or 1h30m")


class _Shown(typing.NamedTuple):
    """Marks an integer that JSON does not show as a number, and says what it shows instead."""

    write: Callable[[int], str]

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        """A text, as it is shown; clients may send it so too."""
        return {"type": "string"}


def format_seconds(nanoseconds: int) -> str:
    """A duration as proto3 JSON has it: seconds with 0, 3, 6 or 9 fractional digits, as in ``1.500s``."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    whole, fraction = divmod(rest, SECOND)
    digits = f"{fraction:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{sign}{whole}{'.' if digits else ''}{digits}s"


UInt32 = Annotated[int, BeforeValidator(_integer), Field(ge=0, lt=2**32)]
UInt64 = Annotated[int, BeforeValidator(_integer), Field(ge=0, lt=2**64), _Shown(str)]
Duration = Annotated[int, BeforeValidator(_duration), _Shown(format_seconds)]
"""Whole nanoseconds."""
Timestamp = Annotated[datetime, BeforeValidator(_timestamp)]
Tags = Annotated[Mapping[str, str], AfterValidator(MappingProxyType)]


S = TypeVar("S", bound=Spec)


def parse_spec(spec: type[S], raw: Mapping[str, Any]) -> tuple[S, list[str]]:
    """Read a spec from plain data; also returns the paths of the fields that nobody knows.

    Raises ``MalformedResource`` with one violation for each value of a wrong type.
    """
    try:
        return spec.model_validate(raw), list(spec.unknown_fields(raw, ""))
    except ValidationError as error:
        raise MalformedResource([_violation(spec, item) for item in error.errors()]) from None


_EXPECTED = {
    "bool_type": "expected true or false",
    "dict_type": "expected an object",
    "int_type": "expected a whole number",
    "mapping_type": "expected an object",
    "model_type": "expected an object",
    "string_type": "expected text",
    "tuple_type": "expected a list",
}


def _violation(spec: type[Spec], error: Any) -> Violation:
    """One of pydantic's complaints in the words of this project."""
    message = _EXPECTED.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    given = error.get("input")
    if given is None:
        message += ", got null"
    elif not isinstance(given, Mapping | list | tuple):
        message += f", got {shown(given)}"
    if error["type"] == "string_type" and isinstance(given, int | float):
        message += " (put it in quotes)"
    return Violation(_path(spec, error["loc"]), message)


def _path(spec: type[Spec] | None, loc: tuple[Any, ...]) -> str:
    """A path in the notation of section 4.1: keys of maps in quotes."""
    path = ""
    for step in loc:
        fields = _fields(spec) if spec else {}
        if isinstance(step, int):
            path += f"[{step}]"
        elif step in fields:
            path, spec = f"{path}.{step}", fields[step].nested
        else:
            path, spec = f'{path}["{step}"]', None
    return path.lstrip(".")


def _unknown(spec: type[Spec], raw: Mapping[str, Any], path: str) -> Iterator[str]:
    fields = _fields(spec)
    for key, value in raw.items():
        if key not in fields:
            yield path + str(key)
            continue
        nested = fields[key].nested
        if nested and isinstance(value, Mapping):
            yield from nested.unknown_fields(value, f"{path}{key}.")
        elif nested and isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Mapping):
                    yield from nested.unknown_fields(item, f"{path}{key}[{index}].")


class _FieldInfo(typing.NamedTuple):
    attribute: str
    alias: str
    nested: type[Spec] | None
    write: Callable[[int], str] | None


@cache
def _fields(spec: type[Spec]) -> dict[str, _FieldInfo]:
    """By every spelling of a field's name: where it is, and what model lies below it."""
    table = {}
    for name, info in spec.model_fields.items():
        write = next((mark.write for mark in info.metadata if isinstance(mark, _Shown)), None)
        alias = info.alias or name
        table[name] = table[alias] = _FieldInfo(name, alias, _nested_spec(info.annotation), write)
    return table


def _nested_spec(annotation: Any) -> type[Spec] | None:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return annotation
    for argument in typing.get_args(annotation):
        if found := _nested_spec(argument):
            return found
    return None


@cache
def _dumped_fields(spec: type[Spec]) -> tuple[_FieldInfo, ...]:
    fields = _fields(spec)
    return tuple(fields[name] for name in spec.model_fields)


def to_document(spec: Spec) -> dict[str, Any]:
    """The spec as plain JSON data, keys in schema order, maps sorted."""
    document: dict[str, Any] = {}
    given = spec.model_fields_set
    for info in _dumped_fields(type(spec)):
        if info.attribute not in given:
            continue
        value = getattr(spec, info.attribute)
        if value is None or value is False or value == 0 or value == "":
            continue
        document[info.alias] = info.write(value) if info.write else _plain(value)
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return to_document(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, datetime):
        return format_timestamp(value)
    return value


def format_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with 0, 3 or 6 fractional digits."""
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    fine = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=fine if moment.microsecond else "seconds") + "Z"


__all__ = [
    "Duration",
    "Spec",
    "Tags",
    "Timestamp",
    "UInt32",
    "UInt64",
    "format_seconds",
    "format_timestamp",
    "parse_spec",
    "to_document",
]
