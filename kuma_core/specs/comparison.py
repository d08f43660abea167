"""Where two specs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kuma_core.specs.base import Spec, members_of


def first_difference(one: Any, other: Any, path: str = "") -> str:
    """The path of the first value that is another one; empty if all are the same, as a list and a tuple may be."""
    if one == other:
        return ""
    parts = _parts(one, other)
    if parts is None:
        return path.lstrip(".") or "the spec"
    found = (first_difference(before, after, path + step) for step, before, after in parts)
    return next(filter(None, found), "")


def _parts(one: Any, other: Any) -> Iterator[tuple[str, Any, Any]] | None:
    """What lies below both, as steps of a path; ``None`` if they cannot be compared part by part."""
    if isinstance(one, Spec) and isinstance(one, type(other)):
        model: type[Spec] = type(other)
        return (
            (f".{m.alias}", getattr(one, m.attribute), getattr(other, m.attribute)) for m in members_of(model)
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return (
            (f"[{place}]", before, after)
            for place, (before, after) in enumerate(zip(one, other, strict=True))
        )
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        return ((f'["{key}"]', one[key], other[key]) for key in one)
    return None
