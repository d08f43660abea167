"""Access policies of plugins: which one decides, by what state, and that one that fails allows nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from kuma_core.auth.access import Authorizer, one_access_policy
from kuma_core.errors import PluginError, StoreUnavailable
from kuma_core.model import Resource, ResourceKey
from kuma_core.plugin.asking import Asking
from kuma_core.plugin.boundary import Boundary
from kuma_core.plugin.collecting import Contributed
from kuma_core.resources.contract import Change, Op
from kuma_core.sdk import (
    ADMINS,
    READERS,
    AccessPolicy,
    Asked,
    Decision,
    Right,
    Snapshot,
    TagPairs,
    User,
    Verb,
)

from .support import bringing, catalog, opened

STRANGER, OTHER = User("ann", frozenset({"team"}), "token"), User("bob", frozenset({"other"}), "token")


class Stored:
    """As much of the stored resources as an authorizer asks for."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.error: Exception | None = None
        self.read = 0

    def list(self, kind: str, unreadable: object = None) -> list[Resource]:
        self.read += 1
        if self.error:
            raise self.error
        return [Resource(ResourceKey(kind, "default", name), None) for name in self.names]


def names_of_users(snapshot: Snapshot) -> Callable[[Asked], Decision]:
    """Allows users of whose name there is a Mesh."""
    names = {item.name for item in snapshot["Mesh"]}
    return lambda asked: Decision(asked.user.name in names, f"names {sorted(names)}")


def authorizer(
    stored: Any, prepare: Callable[[Snapshot], Any] | None = names_of_users, boundary: Boundary | None = None
) -> Authorizer:
    found = [Contributed("acme", AccessPolicy("names", ("Mesh",), prepare))] if prepare else []
    return Authorizer(stored, Asking(boundary or Boundary()), one_access_policy(found, catalog().kinds))


def asked(user: User = STRANGER, verb: Verb = Verb.PUT) -> Asked:
    return Asked(user, verb, "Mesh", "", "default")


CHANGED = Change(Op.PUT, ResourceKey("Mesh", "ann", "ann"))


def test_hook_kuma_register_access() -> None:
    policy = AccessPolicy("names", ("Mesh",), names_of_users)
    assert [entry.value for entry in opened(acme=bringing("access", policy)).access] == [policy]


def test_two_policies_are_refused_with_both_names() -> None:
    entries = [Contributed(name, AccessPolicy(name * 2, (), names_of_users)) for name in ("one", "two")]
    with pytest.raises(
        PluginError, match=r'"oneone" of plugin "one" and "twotwo" of plugin "two".*no:one or'
    ):
        one_access_policy(entries, catalog().kinds)


def test_a_policy_decides_by_kinds_that_there_are() -> None:
    entry = Contributed("acme", AccessPolicy("x", ("Nothing",), names_of_users))
    with pytest.raises(PluginError, match=r'plugin "acme".*decides by the kind "Nothing"'):
        one_access_policy([entry], catalog().kinds)


@pytest.mark.parametrize(
    ("groups", "right", "allowed"),
    [
        ({ADMINS}, Right.ADMIN, True),
        ({ADMINS}, Right.READER, True),
        ({READERS}, Right.READER, True),
        ({READERS}, Right.ADMIN, False),
        (set(), Right.READER, False),
        (set(), Right.PUBLIC, True),
    ],
)
def test_without_a_policy_there_are_two_groups(groups: set[str], right: Right, allowed: bool) -> None:
    user = User("ann", frozenset(groups))
    found = authorizer(Stored(), None).decide(right, asked(user))
    assert found.allowed is allowed
    assert found.why


def test_a_policy_is_asked_about_everybody_else_and_once() -> None:
    stored, calls = Stored(), []

    def prepare(snapshot: Snapshot) -> Callable[[Asked], Decision]:
        def decide(asked: Asked) -> Decision:
            calls.append(asked)
            return names_of_users(snapshot)(asked)

        return decide

    stored.names = ["ann"]
    access = authorizer(stored, prepare)
    for _ in range(3):
        assert access.decide(Right.ADMIN, asked()).allowed
        assert not access.decide(Right.ADMIN, asked(OTHER)).allowed
        assert access.decide(Right.ADMIN, asked(User("x", frozenset({ADMINS})))).allowed
    assert (len(calls), stored.read) == (2, 1)


def test_a_change_counts_with_the_next_question() -> None:
    stored = Stored()
    access = authorizer(stored)
    assert not access.decide(Right.ADMIN, asked()).allowed
    stored.names = ["ann"]
    access.changed(Change(Op.PUT, ResourceKey("Dataplane", "default", "x")))
    assert not access.decide(Right.ADMIN, asked()).allowed
    access.changed(CHANGED)
    assert access.decide(Right.ADMIN, asked()).allowed
    stored.names = []
    access.changed(Change(Op.RESYNC))
    assert not access.decide(Right.ADMIN, asked()).allowed


def test_what_was_read_last_counts_while_the_store_is_away() -> None:
    stored = Stored()
    stored.names = ["ann"]
    access = authorizer(stored)
    assert access.decide(Right.ADMIN, asked()).allowed
    stored.error = StoreUnavailable("gone")
    access.changed(CHANGED)
    assert access.decide(Right.ADMIN, asked()).allowed
    reads = stored.read
    assert access.decide(Right.ADMIN, asked(OTHER)).allowed is False
    assert stored.read == reads, "not with each request: a store that hangs would hold up each"


def test_without_anything_read_nobody_is_let_in() -> None:
    stored = Stored()
    stored.error = StoreUnavailable("gone")
    with pytest.raises(StoreUnavailable):
        authorizer(stored).decide(Right.ADMIN, asked())


def raising(*_: object) -> Any:
    raise SystemExit("no")


@pytest.mark.parametrize(
    "prepare",
    [raising, lambda snapshot: raising, lambda snapshot: None, lambda snapshot: lambda asked: True],
    ids=["prepare", "decide", "no function", "no decision"],
)
def test_a_policy_that_fails_allows_nothing_and_says_so(prepare: Any) -> None:
    found = authorizer(Stored(), prepare).decide(Right.ADMIN, asked())
    assert not found.allowed
    assert 'plugin "acme"' in found.why


def test_a_decision_is_made_in_the_thread_that_asks() -> None:
    """A thread aside would cost each request more than all else that is asked about its user."""
    threads: list[int] = []

    def decide(asked: Asked) -> Decision:
        threads.append(threading.get_ident())
        return Decision(True, "yes")

    assert authorizer(Stored(), lambda snapshot: decide).decide(Right.ADMIN, asked()).allowed
    assert threads == [threading.get_ident()]


def test_about_who_proved_nothing_no_policy_is_asked() -> None:
    def decide(asked: Asked) -> Decision:
        raise AssertionError("it was asked")

    access = authorizer(Stored(), lambda snapshot: decide)
    found = access.decide(Right.ADMIN, asked(User("ann", frozenset({"team"}))))
    assert (found.allowed, "none of the groups" in found.why) == (False, True)


@pytest.mark.parametrize(
    ("name", "tag_sets", "times"),
    [
        ("n", ((("service", "web"),),), 1),
        ("n" * 5000, (), 2),
        ("n", ((("service", "s" * 5000),),), 2),
        ("n", tuple(((("service", f"s{number}"),)) for number in range(100)), 2),
    ],
    ids=["short", "long name", "long tag", "many sets"],
)
def test_what_is_remembered_is_short(name: str, tag_sets: tuple[TagPairs, ...], times: int) -> None:
    """Who asks decides what is in a question, and ten thousand of them are kept."""
    seen: list[Asked] = []

    def decide(asked: Asked) -> Decision:
        seen.append(asked)
        return Decision(True, "yes")

    access = authorizer(Stored(), lambda snapshot: decide)
    question = Asked(STRANGER, Verb.PUT, "Dataplane", "default", name, tag_sets)
    for _ in range(2):
        assert access.decide(Right.ADMIN, question).allowed
    assert len(seen) == times
