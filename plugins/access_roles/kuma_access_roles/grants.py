"""Roles ready to be asked: frozen, and made once for each state of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kuma_access_roles.globs import ANY, Patterns
from kuma_access_roles.role import OWN, READING, AccessRoleSpec, AccessRule
from kuma_core.sdk import Asked, TagPairs, shown

MESH = "Mesh"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a role; ``None`` limits nothing."""

    meshes: Patterns | None
    names: Patterns | None
    tags: tuple[tuple[str, Patterns], ...]

    def misfit(self, asked: Asked, tags: TagPairs | None) -> str:
        """What keeps the rule from allowing a question with these tags, in a few words; empty if nothing does.

        With ``None`` tags count for nothing.
        """
        mesh = asked.name if asked.kind == MESH else asked.mesh
        if self.meshes is not None and not (mesh and self.meshes.match(mesh)):
            return f"not in the mesh {shown(mesh)}" if mesh else "only in some meshes"
        if self.names is not None and not (asked.name and self.names.match(asked.name)):
            return f"not for the name {shown(asked.name)}"
        for key, values in self.tags if tags is not None else ():
            given = [value for name, value in tags or () if name == key]
            if not given:
                return f"only with the tag {shown(key)}"
            for value in given:
                if not values.match(value):
                    return f"not with the tag {shown(f'{key}={value}')}"
        return ""


@dataclass(frozen=True, slots=True)
class Role:
    """A role, by what is asked first: the verb and the kind."""

    name: str
    rules: Mapping[tuple[str, str], tuple[Rule, ...]]

    def rules_for(self, verb: str, kind: str) -> Iterator[Rule]:
        """Those that may allow it. Every kind takes in the kinds of this plugin to read alone."""
        yield from self.rules.get((verb, kind), ())
        if kind and (verb in READING or kind not in OWN):
            yield from self.rules.get((verb, ANY), ())


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that somebody has, and the binding that says so."""

    binding: str
    role: Role

    def __str__(self) -> str:
        return f'AccessRoleBinding "{self.binding}" (AccessRole "{self.role.name}")'


def compiled(name: str, spec: AccessRoleSpec) -> Role:
    """A role as it is asked. A stored rule that today's rules would refuse gives no more than these allow."""
    rules: dict[tuple[str, str], list[Rule]] = defaultdict(list)
    for written in spec.rules:
        tags = sorted((written.tags or {}).items())
        rule = Rule(
            _patterns(written.meshes),
            _patterns(written.names),
            tuple((key, Patterns(values)) for key, values in tags),
        )
        for given in _given(written):
            rules[given].append(rule)
    return Role(name, {given: tuple(found) for given, found in rules.items()})


def _patterns(written: tuple[str, ...] | None) -> Patterns | None:
    return None if written is None else Patterns(written)


def _given(rule: AccessRule) -> Iterator[tuple[str, str]]:
    """The pairs of a verb and a kind that a rule is about."""
    for verb in rule.given_verbs():
        reads = verb in READING
        if not reads or rule.tags is None:  # what is read is not limited by tags
            yield from ((verb, kind) for kind in dict.fromkeys(rule.kinds) if reads or kind not in OWN)
