"""The base of every spec, and the mapping between a spec and its JSON.

Input takes lowerCamelCase and snake_case; output is lowerCamelCase without what equals a field's default. An
explicitly given empty list, map or message survives. Unknown fields are dropped, and told.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from kuma_core.documents import shown
from kuma_core.errors import MalformedResource, Violation
from kuma_core.specs.fields import (
    Duration,
    Tags,
    Timestamp,
    UInt32,
    UInt64,
    format_seconds,
    format_timestamp,
)
from kuma_core.specs.shapes import PLAIN, Convert, Shape, shape_of


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
    def _from_json(cls, raw: Any) -> Any:
        """Null is absent, and a list is what pydantic's strict mode takes where it has a tuple."""
        if not isinstance(raw, Mapping):
            return raw
        readers = _readers(cls)
        if None not in raw.values() and readers.keys().isdisjoint(raw):
            return raw
        return {
            key: readers[key](value) if key in readers else value
            for key, value in raw.items()
            if value is not None
        }

    @classmethod
    def from_stored(cls, document: Any) -> Self:
        """Read what ``to_stored`` gave; raises ``MalformedResource`` or ``ValueError``."""
        return _validated(cls, document)

    def to_stored(self) -> Any:
        """The spec as JSON data for a store; an object, unless a kind says otherwise."""
        return to_document(self)

    @classmethod
    def unknown_fields(cls, raw: Mapping[str, Any], path: str) -> Iterator[str]:
        """The paths, below ``path``, of what is dropped because nobody knows it."""
        return _unknown(cls, raw, path)

    @classmethod
    def misread(cls, raw: Mapping[str, Any]) -> Iterator[Violation]:
        """What of a written document the spec does not hold although it matters; errors refuse the document."""
        return iter(())

    def with_defaults(self) -> Self:
        """The spec as it is stored, with what the system fills in."""
        return self

    def violations(self) -> Iterator[Violation]:
        """Every rule that the spec breaks, in the order in which operators are told."""
        return iter(())


S = TypeVar("S", bound=Spec)


# -- what the fields of a spec are


class Member(typing.NamedTuple):
    """A field of a spec: its names in Python and in documents, and how its value is written and read.

    A value that equals ``default`` is left out of documents. Lists, objects and messages never do: a given empty one is
    written.
    """

    attribute: str
    alias: str
    shape: Shape
    default: Any


@cache
def members_of(spec: type[Spec]) -> tuple[Member, ...]:
    """Every field, in schema order."""
    return tuple(
        Member(name, info.alias or name, shape_of(info.annotation, info.metadata, _nested), _default(info))
        for name, info in spec.model_fields.items()
    )


_NEVER = object()
"""A default that no value equals."""


def _default(info: FieldInfo) -> Any:
    single = info.default is None or isinstance(info.default, (*PLAIN, datetime))
    return info.default if single else _NEVER


def _nested(model: type[Any]) -> Shape | None:
    return Shape(write=to_document, spec=model, has_models=True) if issubclass(model, Spec) else None


@cache
def _by_spelling(spec: type[Spec]) -> Mapping[str, Member]:
    """By every spelling of a field's name."""
    return {name: member for member in members_of(spec) for name in (member.attribute, member.alias)}


@cache
def _readers(spec: type[Spec]) -> Mapping[str, Convert]:
    """By every spelling of the fields that pydantic does not take as JSON has them: what turns them."""
    return {name: member.shape.read for name, member in _by_spelling(spec).items() if member.shape.read}


# -- from JSON to a spec, and back


def parse_spec(spec: type[S], raw: Mapping[str, Any]) -> tuple[S, list[str]]:
    """Read a spec from plain data; also returns the paths of the fields that nobody knows.

    Raises ``MalformedResource`` with one violation for each value of a wrong type.
    """
    return _validated(spec, raw), list(spec.unknown_fields(raw, ""))


def _validated(spec: type[S], raw: Any) -> S:
    try:
        return spec.model_validate(raw)
    except ValidationError as error:
        raise MalformedResource([_violation(spec, item) for item in error.errors()]) from None


def to_document(spec: Spec) -> dict[str, Any]:
    """The spec as plain JSON data, keys in schema order, maps sorted."""
    document: dict[str, Any] = {}
    given, values = spec.model_fields_set, spec.__dict__
    for attribute, alias, shape, default in members_of(type(spec)):
        if attribute in given:
            value = values[attribute]
            if value is not default and (default is _NEVER or not _equal(value, default)):
                document[alias] = shape.write(value) if shape.write else value
    return document


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON, where ``true`` is not 1."""
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


# -- what is told of a document: wrong values, and fields that nobody knows


_EXPECTED = {
    "bool_type": "expected true or false",
    "dict_type": "expected an object",
    "int_type": "expected a whole number",
    "list_type": "expected a list",
    "mapping_type": "expected an object",
    "missing": "is required",
    "model_type": "expected an object",
    "string_type": "expected text",
    "tuple_type": "expected a list",
}


def _bound(error: Any) -> str:
    """What is said of a number that is too small or too large."""
    bounds = error.get("ctx", {})
    words = (("ge", "at least"), ("gt", "greater than"), ("le", "at most"), ("lt", "below"))
    return next((f"has to be {text} {bounds[key]}" for key, text in words if key in bounds), "")


def _violation(spec: type[Spec], error: Any) -> Violation:
    """One of pydantic's complaints in the words of this project."""
    message = _EXPECTED.get(error["type"]) or _bound(error) or str(error["msg"]).removeprefix("Value error, ")
    given = error.get("input")
    if given is None:
        message += ", got null"
    elif not isinstance(given, Mapping | list | tuple):
        message += f", got {shown(given)}"
    if error["type"] == "string_type" and isinstance(given, int | float):
        message += " (put it in quotes)"
    return Violation(_path(spec, error["loc"]), message)


def _path(spec: type[Spec], loc: tuple[Any, ...]) -> str:
    """A path as violations show it, ``inbound[0].tags["service"]``: keys of maps in quotes.

    What pydantic adds behind a single value, to say which of several types it tried, is left out.
    """
    path, shape = "", Shape(spec=spec)
    for step in loc:
        model: type[Spec] | None = shape.spec
        below = _by_spelling(model).get(step) if model else None
        inside = below.shape if below else shape.at(step)
        if below:
            path += f".{step}"
        elif isinstance(step, int):
            path += f"[{step}]"
        elif inside or model:
            path += f'["{step}"]'
        shape = inside or Shape()
    return path.lstrip(".")


def _unknown(spec: type[Spec], raw: Mapping[str, Any], path: str) -> Iterator[str]:
    members = _by_spelling(spec)
    for key, value in raw.items():
        if key not in members:
            yield path + str(key)
        elif members[key].shape.has_models:
            yield from _unknown_in(members[key].shape, value, f"{path}{key}")


def _unknown_in(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """What nobody knows of what lies below a field that holds models."""
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from _unknown_in(shape.at(place) or Shape(), item, f"{path}[{place}]")
    elif isinstance(value, Mapping) and shape.spec:
        yield from shape.spec.unknown_fields(value, f"{path}.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unknown_in(shape.at(key) or Shape(), item, f'{path}["{key}"]')


__all__ = [
    "Duration",
    "Spec",
    "Tags",
    "Timestamp",
    "UInt32",
    "UInt64",
    "format_seconds",
    "format_timestamp",
    "members_of",
    "parse_spec",
    "to_document",
]
