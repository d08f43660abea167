"""How the value of a field stands in a document: which types a field may have, and how each is written and read.

A shape is made from a type once, and goes as deep as the type does: ``dict[str, tuple[Duration, ...]]`` is written as
an object of lists of texts.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel

from kuma_core.specs.fields import Shown

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value looks like.

    ``write`` gives JSON data for a value. ``read`` gives from JSON data what pydantic takes, which is strict; both
    are ``None`` where the two are the same. ``inner`` is the shape of every element of a list or value of an object,
    ``places`` those of a list with one for each element. ``spec`` is the model below; ``has_models`` says whether there
    is one anywhere. ``problem`` says why a type cannot be kept at all.
    """

    write: Convert | None = None
    read: Convert | None = None
    inner: Shape | None = None
    places: tuple[Shape, ...] = ()
    spec: type[Any] | None = None
    problem: str = ""
    has_models: bool = False

    def at(self, step: object) -> Shape | None:
        """The shape of what lies there in a list or an object."""
        if self.places:
            return self.places[step] if isinstance(step, int) and step < len(self.places) else None
        return self.inner

    def problems(self) -> Iterator[str]:
        """Why this, or what lies in it, cannot be kept."""
        if self.problem:
            yield self.problem
        for part in (self.inner, *self.places):
            if part is not None:
                yield from part.problems()


PLAIN = (bool, int, float, str)
"""The types that JSON has."""

SUPPORTED = (
    "bool, int, float, str, Literal of these, UInt32, UInt64, Duration, Timestamp, another Spec, Any, X | None, "
    "and tuple[X, ...], list[X] and dict[str, X] of them"
)
_INSTEAD: dict[type[Any], str] = {
    date: "use Timestamp",
    timedelta: "use Duration",
    bytes: "use str, with a text in base64",
    set: "use tuple[X, ...]",
    frozenset: "use tuple[X, ...]",
    Enum: 'use Literal["one", "other"]',
    BaseModel: "derive it from Spec",
}
_PLAIN_SHAPE = Shape()


def peeled(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without what is said about it by ``Annotated`` or a name of its own, and all that is said about it."""
    marks: tuple[Any, ...] = ()
    while True:
        if typing.get_origin(annotation) is Annotated:
            annotation, *said = typing.get_args(annotation)
            marks = (*said, *marks)
        elif hasattr(annotation, "__value__"):  # ``type Name = ...``
            annotation = annotation.__value__
        elif hasattr(annotation, "__supertype__"):  # ``NewType``
            annotation = annotation.__supertype__
        else:
            return annotation, marks


def shape_of(annotation: Any, marks: Sequence[Any], nested: Callable[[type[Any]], Shape | None]) -> Shape:
    """The shape of a type with what is said about it; ``nested`` gives the shape of a class that is a model."""
    bare, said = peeled(annotation)
    shown = next((mark for mark in (*said, *marks) if isinstance(mark, Shown)), None)
    if shown:
        return Shape(write=shown.write)
    if bare in PLAIN:
        return _PLAIN_SHAPE
    if bare is Any:
        return Shape(write=_plain_data)
    origin, arguments = typing.get_origin(bare) or bare, typing.get_args(bare)
    if origin is Literal and all(isinstance(item, PLAIN) for item in arguments):
        return _PLAIN_SHAPE
    if origin in (typing.Union, types.UnionType):
        return _choice(bare, nested)
    if origin is tuple and arguments and arguments[-1] is not ...:
        return _places([shape_of(item, (), nested) for item in arguments])
    if origin in (tuple, list, Sequence):
        return _elements(origin, shape_of(arguments[0] if arguments else Any, (), nested))
    if origin in (dict, Mapping) and (not arguments or peeled(arguments[0])[0] is str):
        return _members(shape_of(arguments[1] if arguments else Any, (), nested))
    model = nested(origin) if isinstance(origin, type) else None
    return model or Shape(problem=_refusal(bare))


def _choice(bare: Any, nested: Callable[[type[Any]], Shape | None]) -> Shape:
    """``X | None``, or a choice of plain types, which JSON tells apart."""
    members = [item for item in typing.get_args(bare) if item is not types.NoneType]
    found = [shape_of(item, (), nested) for item in members]
    if len(found) > 1:
        return _PLAIN_SHAPE if all(item == _PLAIN_SHAPE for item in found) else Shape(problem=_refusal(bare))
    return replace(found[0], write=_unless_none(found[0].write), read=_unless_none(found[0].read))


def _unless_none(convert: Convert | None) -> Convert | None:
    return convert and (lambda value: None if value is None else convert(value))


def _elements(origin: Any, inner: Shape) -> Shape:
    """A list; pydantic takes none for a tuple, being strict."""
    write, read = inner.write, inner.read
    make = tuple if origin is tuple else list

    def read_list(raw: Any) -> Any:
        return make(map(read, raw) if read else raw) if isinstance(raw, list) else raw

    return Shape(
        write=(lambda value: [*map(write, value)]) if write else list,
        read=read_list if read or make is tuple else None,
        inner=inner,
        has_models=inner.has_models,
    )


def _places(places: Sequence[Shape]) -> Shape:
    """A list of a known length, with a shape for each of its elements."""

    def read(raw: Any) -> Any:
        if not isinstance(raw, list):
            return raw
        known = [shape.read(item) if shape.read else item for shape, item in zip(places, raw, strict=False)]
        return (*known, *raw[len(known) :])

    def write(value: Any) -> Any:
        return [shape.write(item) if shape.write else item for shape, item in zip(places, value, strict=True)]

    return Shape(write=write, read=read, places=tuple(places), has_models=any(s.has_models for s in places))


def _members(inner: Shape) -> Shape:
    """An object; its keys are sorted, so that equal ones are written as equal texts."""
    write, read = inner.write or _same, inner.read

    def read_object(raw: Any) -> Any:
        return {key: read(raw[key]) for key in raw} if read and isinstance(raw, Mapping) else raw

    return Shape(
        write=lambda value: {key: write(value[key]) for key in sorted(value)},
        read=read_object if read else None,
        inner=inner,
        has_models=inner.has_models,
    )


def _same(value: Any) -> Any:
    return value


def _plain_data(value: Any) -> Any:
    """A field of any content holds JSON data already, though perhaps frozen."""
    if isinstance(value, Mapping):
        return {key: _plain_data(value[key]) for key in sorted(value)}
    return [_plain_data(item) for item in value] if isinstance(value, list | tuple) else value


def _refusal(bare: Any) -> str:
    """Why a type cannot be kept, and what to take instead."""
    origin = typing.get_origin(bare) or bare
    bases = origin.__mro__ if isinstance(origin, type) else ()
    instead = next((_INSTEAD[base] for base in bases if base in _INSTEAD), f"supported are {SUPPORTED}")
    name = bare.__name__ if origin is bare and isinstance(bare, type) else bare
    return f"the type {name} is not supported; {instead}"
