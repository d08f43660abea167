"""The spec of an AccessRole: what whoever has the role may do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kuma_access_roles.globs import ANY, pattern_problems
from kuma_core.sdk import Severity, Spec, Violation

ROLE, BINDING = "AccessRole", "AccessRoleBinding"
OWN = (ROLE, BINDING)
"""Who writes these can give himself every right: the kernel's admins alone may."""

DATAPLANE = "Dataplane"
"""The kind of which inbounds have tags, and for which tokens are generated."""
GET, LIST, GENERATE_TOKEN = "get", "list", "generate-token"
VERBS = (GET, LIST, "put", "delete", "dry-run", GENERATE_TOKEN)
READING = (GET, LIST)

NOBODY = "nobody"
"""By what somebody is known who proved nothing."""

MOST_RULES = 100
MOST_ITEMS = 100
"""In one list of a rule."""


class AccessRule(Spec):
    """One thing that may be done. A list that is left out limits nothing."""

    verbs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    meshes: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    tags: dict[str, tuple[str, ...]] | None = None

    def given_verbs(self) -> frozenset[str]:
        """The verbs that the rule gives: of ``*`` those for which its limits can hold."""
        if ANY not in self.verbs:
            return frozenset(self.verbs)
        left_out = {*(READING if self.tags is not None else ()), *((LIST,) if self.names is not None else ())}
        return frozenset(VERBS) - left_out


class AccessRoleSpec(Spec):
    """What whoever has the role may do: whatever one of the rules allows."""

    rules: tuple[AccessRule, ...] = ()

    def violations(self) -> Iterator[Violation]:
        """Every list is short, every word is known, and no rule says what could not be kept to."""
        yield from size_problems("rules", self.rules, MOST_RULES)
        for index, rule in enumerate(self.rules[:MOST_RULES]):
            path = f"rules[{index}]"
            yield from _verb_problems(path, rule)
            yield from _kind_problems(path, rule)
            for field, patterns in (("meshes", rule.meshes), ("names", rule.names)):
                if patterns is not None:
                    yield from _patterns_problems(f"{path}.{field}", patterns)
            if rule.tags is not None:
                yield from _tags_problems(f"{path}.tags", rule)
            yield from _doubts(path, rule)


def size_problems(path: str, items: Sequence[object], most: int) -> Iterator[Violation]:
    """What is wrong with the length of a list."""
    if not items:
        yield Violation(path, "must have at least one element")
    if len(items) > most:
        yield Violation(path, f"has more than {most} elements")


def _verb_problems(path: str, rule: AccessRule) -> Iterator[Violation]:
    yield from size_problems(f"{path}.verbs", rule.verbs, MOST_ITEMS)
    for index, verb in enumerate(rule.verbs[:MOST_ITEMS]):
        where = f"{path}.verbs[{index}]"
        if verb not in (*VERBS, ANY):
            yield Violation(where, f'is none of {", ".join(VERBS)}, nor "{ANY}" for all of them')
        if verb == LIST and rule.names is not None:
            yield Violation(where, _NO_LIST)
        if verb in READING and rule.tags is not None:
            yield Violation(where, f"{verb} is not limited by tags; give it in a rule without them")
        if verb == GENERATE_TOKEN and not {DATAPLANE, ANY} & set(rule.kinds):
            yield Violation(where, f"tokens are generated for a {DATAPLANE}; name that kind")


_NO_LIST = "a list shows every name; give it in a rule without names"
_BY_ADMINS = (
    "{kind} is written by admins alone, for whoever writes roles can give himself every right; "
    "leave it to rules for get and list"
)


def _kind_problems(path: str, rule: AccessRule) -> Iterator[Violation]:
    yield from size_problems(f"{path}.kinds", rule.kinds, MOST_ITEMS)
    writes = rule.given_verbs() - {*READING, GENERATE_TOKEN}
    for index, kind in enumerate(rule.kinds[:MOST_ITEMS]):
        where = f"{path}.kinds[{index}]"
        if not kind:
            yield Violation(where, f'cannot be empty; "{ANY}" stands for any')
        elif ANY in kind and kind != ANY:
            yield Violation(where, f'kinds are named as they are, or all of them by "{ANY}"')
        if kind in OWN and writes:
            yield Violation(where, _BY_ADMINS.format(kind=kind))


def _patterns_problems(path: str, patterns: tuple[str, ...]) -> Iterator[Violation]:
    yield from size_problems(path, patterns, MOST_ITEMS)
    for index, pattern in enumerate(patterns[:MOST_ITEMS]):
        yield from pattern_problems(f"{path}[{index}]", pattern)


def _tags_problems(path: str, rule: AccessRule) -> Iterator[Violation]:
    tags = rule.tags or {}
    yield from size_problems(path, tuple(tags), MOST_ITEMS)
    if ANY in rule.kinds:
        yield Violation(
            path, f"a {DATAPLANE} has tags, and policies; name these kinds, and give others without tags"
        )
    for key in sorted(tags)[:MOST_ITEMS]:
        if not key:
            yield Violation(path, "tag key must be non-empty")
        yield from _patterns_problems(f'{path}["{key}"]', tags[key])


def _doubts(path: str, rule: AccessRule) -> Iterator[Violation]:
    """A name says nothing of what the resource is: whoever may write any Dataplane of some name is every service."""
    if (
        rule.names is not None
        and DATAPLANE in rule.kinds
        and rule.tags is None
        and "put" in rule.given_verbs()
    ):
        yield Violation(f"{path}.names", _EVERY_SERVICE, Severity.WARNING)


_EVERY_SERVICE = (
    "limits how the Dataplanes are called, not for which services they speak; name those in tags, as in "
    "tags: {service: [web]}"
)
