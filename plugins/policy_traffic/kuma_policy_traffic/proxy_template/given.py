"""Values of a document together with the place where the operator wrote them.

A rule that moves a value to another field keeps its place, so that an error speaks of the document as it was
written and not of what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kuma_core.sdk import shown


@dataclass(frozen=True, slots=True)
class Given:
    """A value and the path at which it stands in the document."""

    value: Any
    path: str


@dataclass(frozen=True, slots=True)
class Typed:
    """What goes into an ``Any`` without having said its type: fields of v2 for a message of v3."""

    type_name: str
    body: Any


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a message: its path, whether it is of v2, and the messages around it by v3 name."""

    path: str
    old: bool
    within: tuple[str, ...] = ()

    def field(self, name: str) -> str:
        """The path of a field of this message."""
        return f"{self.path}.{name}" if self.path else name


Fields = dict[str, Given]
"""The fields of one message, by their names in the schema."""


def problem(path: str, text: str) -> ValueError:
    """The error for a value of the document."""
    return ValueError(f'field "{path}": {text}' if path else text)


def no_equivalent(path: str) -> ValueError:
    """The error for something of v2 that v3 does not have."""
    return ValueError(f'field "{path}" of the v2 API has no equivalent in Envoy v3')


def text_of(given: Given) -> str:
    """The value, which must be text."""
    if not isinstance(given.value, str):
        raise problem(given.path, f"expected text, got {shown(given.value)}")
    return given.value


def items_of(given: Given) -> list[Given]:
    """The elements of a list; a lone value counts as a list of one, as Envoy has it."""
    if not isinstance(given.value, list):
        return [given]
    return [at(item, f"{given.path}[{index}]") for index, item in enumerate(given.value)]


def at(value: Any, path: str) -> Given:
    """The value at a path, unless it was moved there from a place of its own."""
    return value if isinstance(value, Given) else Given(value, path)


def mapping_of(given: Given) -> dict[str, Any]:
    """The value, which must be a mapping."""
    if not isinstance(given.value, dict):
        raise problem(given.path, f"expected a mapping, got {shown(given.value)}")
    return given.value
