"""What a spec has to be so that everything that is written in it is kept, found out before anything is written."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.model import META, ResourceType
from kuma_core.specs.base import Member, Spec, members_of
from kuma_core.specs.shapes import Shape


def unkeepable(kind: ResourceType) -> list[str]:
    """What stands in the way, each with the path of its field; empty if all can be kept."""
    spec = kind.spec
    if not (isinstance(spec, type) and issubclass(spec, Spec)):
        return [f"{spec!r} is no subclass of Spec"]
    if _has_own_form(spec) and not kind.served:
        return []
    return [*_reserved(spec), *_problems(spec, "", frozenset())]


def _has_own_form(spec: type[Spec]) -> bool:
    """Whether a store gets something else than what REST shows, written and read by the spec itself."""
    written, read = spec.to_stored, spec.from_stored.__func__  # type: ignore[attr-defined]
    return written is not Spec.to_stored and read is not Spec.from_stored.__func__  # type: ignore[attr-defined]


def _reserved(spec: type[Spec]) -> Iterator[str]:
    """A document holds the meta of a resource and its spec side by side."""
    for member in members_of(spec):
        if {member.attribute.lower(), member.alias.lower()} & set(META):
            yield f"{member.alias}: this name is taken in every resource; choose another, or nest it"


def _problems(spec: type[Spec], path: str, above: frozenset[type[Spec]]) -> Iterator[str]:
    """Of a model and of all below it; one that holds itself is looked at once."""
    if spec in above:
        return
    if not spec.__pydantic_complete__ and not spec.model_rebuild(raise_errors=False):
        yield f"{path or spec.__name__}: it names a type that is not defined"
        return
    if spec.model_config.get("extra") == "allow":
        yield f'{path or spec.__name__}: extra="allow" takes fields that are not kept; leave it out'
    taken: dict[str, str] = {}
    for member in members_of(spec):
        where = f"{path}{member.alias}"
        yield from (
            f"{where}: {problem}" for problem in (*member.shape.problems(), *_names(spec, member, taken))
        )
        for model in _models(member.shape):
            yield from _problems(model, f"{where}.", above | {spec})


def _names(spec: type[Spec], member: Member, taken: dict[str, str]) -> Iterator[str]:
    """A field is read under the name under which it is written, and under no other's name."""
    alias = spec.model_fields[member.attribute].validation_alias
    if alias not in (None, member.alias):
        yield f"it is written under this name and read as {alias!r}; use Field(alias=...)"
    for name in {member.attribute, member.alias}:
        other = taken.setdefault(name, member.attribute)
        if other != member.attribute:
            yield f"{other} has this name too; rename one of them"


def _models(shape: Shape) -> Iterator[type[Spec]]:
    if shape.spec:
        yield shape.spec
    for part in (shape.inner, *shape.places):
        if part:
            yield from _models(part)
