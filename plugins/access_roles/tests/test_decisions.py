"""What roles decide: by examples, and against an interpreter that reads the documents as they stand."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_access_roles.binding import AccessRoleBindingSpec
from kuma_access_roles.globs import Patterns
from kuma_access_roles.index import Index
from kuma_access_roles.role import VERBS, AccessRoleSpec
from kuma_core.sdk import Asked, User, Verb
from plugins.access_roles.tests.support import ALICE, OWNER, asked, binding, index, role

WEB, DB = {"service": "web"}, {"service": "db"}
ALL = {"verbs": ["*"], "kinds": ["*"]}


# -- patterns


@given(st.text("ab*", max_size=12), st.text("ab", max_size=12))
def test_a_pattern_matches_what_its_regular_expression_does(pattern: str, text: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert Patterns([pattern]).match(text) == bool(re.fullmatch(expression, text, re.DOTALL))


def test_a_pattern_that_nearly_matches_costs_little() -> None:
    assert not Patterns(["*a" * 8 + "b"]).match("a" * 100_000)


# -- who may speak for a service


def test_an_owner_writes_his_service() -> None:
    found = index(OWNER).decide(asked("put", "Dataplane", "default", "web-1", WEB))
    assert found.allowed
    assert found.why == 'AccessRoleBinding "b" (AccessRole "r")'


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (asked("put", "Dataplane", "default", "x", DB), 'not with the tag "service=db"'),
        (asked("put", "Dataplane", "default", "x", WEB, DB), 'not with the tag "service=db"'),
        (asked("delete", "Dataplane", "default", "x", DB), 'not with the tag "service=db"'),
        (asked("put", "Dataplane", "other", "x", WEB), 'not in the mesh "other"'),
        (asked("put", "Dataplane", "", "x", WEB), "only in some meshes"),
        (asked("put", "Dataplane", "default", "x"), 'only with the tag "service"'),
        (asked("put", "Dataplane", "default", "x", {"version": "1"}), 'only with the tag "service"'),
        (asked("generate-token", "Dataplane", "default", "x"), 'only with the tag "service"'),
        (asked("generate-token", "Dataplane", "default", "x", WEB, DB), 'not with the tag "service=db"'),
        (asked("put", "Dataplane", "default", "x", {"service": "WEB"}), 'not with the tag "service=WEB"'),
    ],
)
def test_an_owner_becomes_no_other_service(question: Asked, said: str) -> None:
    found = index(OWNER).decide(question)
    assert not found.allowed
    assert said in found.why
    assert 'AccessRoleBinding "b"' in found.why


@pytest.mark.parametrize("verb", ["delete", "dry-run"])
def test_of_what_is_not_there_nobody_is_the_owner(verb: str) -> None:
    """The kernel asks before it looks, and again with the tags of what is stored."""
    assert index(OWNER).decide(asked(verb, "Dataplane", "default", "x")).allowed
    assert not index(OWNER).decide(asked(verb, "Dataplane", "other", "x")).allowed
    assert not index(OWNER).decide(asked(verb, "Dataplane", "default", "x", DB)).allowed


def test_each_inbound_may_be_allowed_by_another_role() -> None:
    other = {**OWNER, "tags": {"service": ["db"]}}
    both = Index(
        {"web": role(OWNER), "db": role(other)},
        {"1": binding(users=["alice"], roles=["web"]), "2": binding(groups=["web-team"], roles=["db"])},
    )
    found = both.decide(asked("put", "Dataplane", "default", "x", WEB, DB))
    assert found.allowed
    assert found.why == 'AccessRoleBinding "1" (AccessRole "web") and AccessRoleBinding "2" (AccessRole "db")'


def test_two_rules_do_not_add_up_for_one_inbound() -> None:
    of_web, first = (
        {**OWNER, "tags": {"service": ["web"], "v": ["1"]}},
        {**OWNER, "tags": {"service": ["db"]}},
    )
    decide = index(of_web, first).decide
    assert decide(asked("put", "Dataplane", "default", "x", {"service": "web", "v": "1"})).allowed
    assert not decide(asked("put", "Dataplane", "default", "x", {"service": "web", "v": "2"})).allowed
    assert not decide(asked("put", "Dataplane", "default", "x", WEB)).allowed


def test_without_services_a_token_is_good_for_all() -> None:
    found = index(OWNER).decide(asked("generate-token", "Dataplane", "default", "x"))
    assert any("--service" in way for way in found.ways)


# -- limits


def test_the_mesh_of_a_mesh_is_its_own() -> None:
    decide = index({"verbs": ["put"], "kinds": ["Mesh"], "meshes": ["team-*"]}).decide
    assert decide(asked("put", "Mesh", name="team-a")).allowed
    assert not decide(asked("put", "Mesh", name="default")).allowed


def test_a_list_of_all_meshes_is_more_than_one_of_some() -> None:
    decide = index({"verbs": ["list"], "kinds": ["Dataplane"], "meshes": ["default"]}).decide
    assert decide(asked("list", "Dataplane", "default")).allowed
    assert not decide(asked("list", "Dataplane")).allowed


def test_a_list_is_shown_as_a_whole_or_not_at_all() -> None:
    """A stored rule that would be refused today gives nothing that it could not limit."""
    decide = index({"verbs": ["get", "list"], "kinds": ["Mesh"], "names": ["a*"]}).decide
    assert decide(asked("get", "Mesh", name="ab")).allowed
    assert not decide(asked("get", "Mesh", name="b")).allowed
    assert not decide(asked("list", "Mesh")).allowed


@pytest.mark.parametrize("verb", ["put", "delete", "dry-run"])
@pytest.mark.parametrize("kind", ["AccessRole", "AccessRoleBinding"])
@pytest.mark.parametrize("rule", [ALL, {"verbs": ["*"], "kinds": ["AccessRole", "AccessRoleBinding"]}])
def test_whoever_may_everything_still_writes_no_role(verb: str, kind: str, rule: dict[str, Any]) -> None:
    found = index(rule).decide(asked(verb, kind, name="mine"))
    assert not found.allowed
    assert "admins alone" in found.why
    assert index(rule).decide(asked("get", kind, name="mine")).allowed


@pytest.mark.parametrize("verb", ["read", "admin"])
def test_roles_are_about_resources(verb: str) -> None:
    assert not index(ALL).decide(asked(verb, "", "", "/meshes/{mesh}/service-map")).allowed


# -- who


def test_nobody_is_bound_whatever_his_name() -> None:
    """In the mode localhostIsAdmin whoever comes from elsewhere without a credential is a reader, and stays one."""
    stranger = User("alice", frozenset({"web-team", "kuma:reader"}), "nobody")
    bound = Index({"r": role(ALL)}, {"b": binding(users=["alice"], groups=["kuma:reader"], roles=["r"])})
    assert not bound.decide(asked("put", "Mesh", name="m", user=stranger)).allowed
    for by in ("token", "certificate", "socket", "loopback"):
        known = User("bob", frozenset({"kuma:reader"}), by)
        assert bound.decide(asked("put", "Mesh", name="m", user=known)).allowed


def test_a_group_is_no_user() -> None:
    decide = index(ALL, users=("web-team",)).decide
    assert not decide(asked("put", "Mesh", name="m")).allowed


def test_a_binding_to_a_role_that_is_not_there_gives_nothing() -> None:
    found = Index({}, {"b": binding(users=["alice"], roles=["gone"])})
    assert not found.decide(asked("get", "Mesh", name="m")).allowed


def test_what_is_told_to_who_has_nothing() -> None:
    found = Index({}, {}).decide(asked("put", "Mesh", name="m"))
    assert found.why == 'no binding gives the user "alice" (groups "web-team") a role'
    assert found.ways == ("an AccessRoleBinding of a role that gives put of Mesh",)
    other = index(OWNER).decide(asked("put", "Mesh", name="m"))
    assert other.why.endswith('(groups "web-team") ("r") give no put of Mesh')


# -- all of it, against reading the documents


def interpreted(
    roles: dict[str, AccessRoleSpec], bindings: dict[str, AccessRoleBindingSpec], question: Asked
) -> bool:
    """The same decision, slowly and in one piece."""

    def fits(patterns: Any, text: str) -> bool:
        return any(
            re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
            for pattern in patterns
        )

    def gives(rule: Any, pairs: dict[str, str] | None) -> bool:
        verb, kind = question.verb.value, question.kind
        mesh = question.name if kind == "Mesh" else question.mesh
        reads = verb in ("get", "list")
        return (
            (verb in rule.verbs or ("*" in rule.verbs and verb in VERBS))
            and bool(kind)
            and (kind in rule.kinds or "*" in rule.kinds)
            and (reads or kind not in ("AccessRole", "AccessRoleBinding"))
            and not (reads and rule.tags is not None)
            and not (verb == "list" and rule.names is not None)
            and (rule.meshes is None or (bool(mesh) and fits(rule.meshes, mesh)))
            and (rule.names is None or (bool(question.name) and fits(rule.names, question.name)))
            and (pairs is None or all(k in pairs and fits(v, pairs[k]) for k, v in (rule.tags or {}).items()))
        )

    user = question.user
    if user.by == "nobody":
        return False
    rules = [
        rule
        for spec in bindings.values()
        if user.name in spec.users or user.groups & set(spec.groups)
        for name in spec.roles
        if name in roles
        for rule in roles[name].rules
    ]
    unnamed = [None] if question.verb.value in ("delete", "dry-run") else [()]
    sets = list(question.tag_sets) or unnamed
    return all(any(gives(rule, None if s is None else dict(s)) for rule in rules) for s in sets)


WORDS = st.sampled_from(["a", "b", "ab", "ba"])
PATTERNS = st.one_of(st.none(), st.lists(st.sampled_from(["a", "b", "a*", "*b", "*"]), max_size=2))
KIND = st.sampled_from(["Dataplane", "Mesh", "TrafficRoute", "AccessRole", "AccessRoleBinding"])
VERB = st.sampled_from([*VERBS])
TAGS = st.dictionaries(st.sampled_from(["service", "v"]), WORDS, max_size=2)


def without_none(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not None}


RULE = st.fixed_dictionaries(
    {
        "verbs": st.lists(st.one_of(VERB, st.just("*")), max_size=2),
        "kinds": st.lists(st.one_of(KIND, st.just("*")), max_size=2),
        "meshes": PATTERNS,
        "names": PATTERNS,
        "tags": st.one_of(
            st.none(),
            st.dictionaries(st.sampled_from(["service", "v"]), st.lists(WORDS, max_size=2), max_size=2),
        ),
    }
).map(without_none)
ROLES = st.dictionaries(WORDS, st.lists(RULE, max_size=3), max_size=3)
SOME = st.lists(WORDS, max_size=2)
BINDINGS = st.dictionaries(
    WORDS, st.fixed_dictionaries({"users": SOME, "groups": SOME, "roles": SOME}), max_size=4
)
QUESTION = st.builds(
    asked,
    st.sampled_from([verb.value for verb in Verb]),
    st.one_of(KIND, st.just("")),
    st.one_of(WORDS, st.just("")),
    st.one_of(WORDS, st.just("")),
    user=st.builds(User, WORDS, st.frozensets(WORDS, max_size=2), st.sampled_from(["token", "nobody"])),
)


@given(ROLES, BINDINGS, QUESTION, st.lists(TAGS, max_size=2))
def test_the_index_decides_as_the_documents_say(
    roles: dict[str, Any], bindings: dict[str, Any], question: Asked, sets: list[dict[str, str]]
) -> None:
    """Whatever was stored, also what today's rules would refuse."""
    read = {name: role(*rules) for name, rules in roles.items()}
    bound = {name: binding(**document) for name, document in bindings.items()}
    question = asked(
        question.verb.value, question.kind, question.mesh, question.name, *sets, user=question.user
    )
    found = Index(read, bound).decide(question)
    assert found.allowed == interpreted(read, bound, question)
    assert found.why


def test_a_decision_does_not_grow_with_the_bindings_of_others() -> None:
    """Counted, not timed: the rules that are looked at are those of one user."""
    bindings = {f"b{number}": binding(users=[f"u{number}"], roles=["r"]) for number in range(1000)}
    found = Index({"r": role(OWNER)}, {**bindings, "mine": binding(users=[ALICE.name], roles=["r"])})
    assert found.bindings_of(ALICE) == ["mine"]
