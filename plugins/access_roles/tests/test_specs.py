"""What operators may write in roles and bindings, and what they are told."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_access_roles.binding import AccessRoleBindingSpec
from kuma_access_roles.kinds import KINDS
from kuma_access_roles.role import AccessRoleSpec
from kuma_core.sdk import Severity, Spec, parse_spec
from kuma_core.testing.kinds import KindSuite
from plugins.access_roles.tests.support import OWNER


class TestKinds(KindSuite):
    kinds = KINDS


READ = {"verbs": ["get", "list"], "kinds": ["*"]}


def problems(spec: type[Spec], document: dict[str, Any]) -> list[tuple[str, str]]:
    parsed, unknown = parse_spec(spec, document)
    assert not unknown
    return [(found.field, found.message) for found in parsed.violations() if found.severity is Severity.ERROR]


def doubts(document: dict[str, Any]) -> list[str]:
    parsed, _ = parse_spec(AccessRoleSpec, document)
    return [found.field for found in parsed.violations() if found.severity is Severity.WARNING]


def one(**rule: Any) -> list[tuple[str, str]]:
    """What is wrong with a rule, without the part of the path that is always the same."""
    found = problems(AccessRoleSpec, {"rules": [rule]})
    return [(field.removeprefix("rules[0]."), message) for field, message in found]


def test_rules_that_are_right() -> None:
    everything = {"verbs": ["*"], "kinds": ["*"]}
    named = {"verbs": ["*"], "kinds": ["TrafficRoute"], "meshes": ["*"], "names": ["web-*"]}
    assert problems(AccessRoleSpec, {"rules": [OWNER, READ, everything, named]}) == []


def test_a_role_has_rules_and_a_rule_says_what_it_gives() -> None:
    assert problems(AccessRoleSpec, {}) == [("rules", "must have at least one element")]
    assert one() == [
        ("verbs", "must have at least one element"),
        ("kinds", "must have at least one element"),
    ]


@pytest.mark.parametrize("field", ["meshes", "names"])
def test_an_empty_limit_is_none_that_was_left_out(field: str) -> None:
    assert one(verbs=["put"], kinds=["Mesh"], **{field: []}) == [(field, "must have at least one element")]
    found = one(verbs=["put"], kinds=["Mesh"], **{field: ["", "a" * 254, "*" * 9]})
    assert found == [
        (f"{field}[0]", 'cannot be empty; "*" stands for any'),
        (f"{field}[1]", "has more than 253 characters"),
        (f"{field}[2]", '"*********" has more than 8 times "*"'),
    ]


def test_unknown_verbs() -> None:
    text = 'is none of get, list, put, delete, dry-run, generate-token, nor "*" for all of them'
    assert one(verbs=["PUT", "get", "read"], kinds=["Mesh"]) == [("verbs[0]", text), ("verbs[2]", text)]


def test_kinds_are_whole_names() -> None:
    assert one(verbs=["get"], kinds=["Traffic*", ""]) == [
        ("kinds[0]", 'kinds are named as they are, or all of them by "*"'),
        ("kinds[1]", 'cannot be empty; "*" stands for any'),
    ]


@pytest.mark.parametrize("kind", ["AccessRole", "AccessRoleBinding"])
@pytest.mark.parametrize("verb", ["put", "delete", "dry-run", "*"])
def test_no_role_gives_the_writing_of_roles(kind: str, verb: str) -> None:
    ((field, message),) = one(verbs=[verb], kinds=["Mesh", kind])
    assert field == "kinds[1]"
    assert message.startswith(f"{kind} is written by admins alone")
    assert one(verbs=["get", "list"], kinds=[kind]) == []


def test_what_limits_cannot_hold_for() -> None:
    assert one(verbs=["list"], kinds=["Mesh"], names=["a"]) == [
        ("verbs[0]", "a list shows every name; give it in a rule without names")
    ]
    assert one(verbs=["get"], kinds=["Dataplane"], tags={"service": ["web"]}) == [
        ("verbs[0]", "get is not limited by tags; give it in a rule without them")
    ]
    assert one(verbs=["put"], kinds=["*"], tags={"service": ["web"]}) == [
        ("tags", "a Dataplane has tags, and policies; name these kinds, and give others without tags")
    ]
    assert one(verbs=["generate-token"], kinds=["Mesh"]) == [
        ("verbs[0]", "tokens are generated for a Dataplane; name that kind")
    ]


def test_tags_name_values() -> None:
    assert one(verbs=["put"], kinds=["Dataplane"], tags={}) == [("tags", "must have at least one element")]
    assert one(verbs=["put"], kinds=["Dataplane"], tags={"": ["a"], "service": []}) == [
        ("tags", "tag key must be non-empty"),
        ('tags["service"]', "must have at least one element"),
    ]


def test_everything_is_bounded() -> None:
    assert problems(AccessRoleSpec, {"rules": [READ] * 101}) == [("rules", "has more than 100 elements")]
    many = [f"n{number}" for number in range(101)]
    assert one(verbs=["put"], kinds=["Mesh"], names=many) == [("names", "has more than 100 elements")]
    document = {"users": many, "groups": many, "roles": many}
    assert problems(AccessRoleBindingSpec, document) == [
        ("users", "has more than 100 elements"),
        ("groups", "has more than 100 elements"),
        ("roles", "has more than 100 elements"),
    ]


def test_a_name_is_no_limit_of_services() -> None:
    rule = {"verbs": ["put"], "kinds": ["Dataplane"], "names": ["web-*"]}
    assert doubts({"rules": [rule]}) == ["rules[0].names"]
    assert doubts({"rules": [{**rule, "tags": {"service": ["web"]}}, READ]}) == []


def test_a_binding_names_somebody_and_something() -> None:
    assert problems(AccessRoleBindingSpec, {}) == [
        ("users", "must have at least one element, unless groups have"),
        ("roles", "must have at least one element"),
    ]
    found = problems(AccessRoleBindingSpec, {"groups": ["web-*", ""], "roles": ["a" * 254]})
    assert found == [
        ("groups[0]", 'is the whole name of one; "*" stands for nothing here'),
        ("groups[1]", "cannot be empty"),
        ("roles[0]", "has more than 253 characters"),
    ]


def test_admins_need_no_role() -> None:
    spec, _ = parse_spec(AccessRoleBindingSpec, {"groups": ["a", "kuma:admin"], "roles": ["r"]})
    (told,) = spec.violations()
    assert (told.field, told.severity) == ("groups[1]", Severity.WARNING)
