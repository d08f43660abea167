"""The owner of one service becomes no other, whatever way he tries, and gives himself no more rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import kuma_access_roles
import kuma_store_memory
from kuma_core.config import Config
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Record, StoreFactory
from kuma_core.sdk import ADMINS, READERS, hookimpl
from kuma_core.testing.builders import dataplane, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_store_memory.store import MemoryStore
from plugins.access_roles.tests.running import (
    MODE,
    WEB_OWNER,
    WEB_TEAM,
    Person,
    of_service,
    person,
    with_roles,
)

WEB_1, DB_1 = of_service("web-1", "web"), of_service("db-1", "db")


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with with_roles() as running:
        admin = person(running, "root", ADMINS)
        assert admin.apply(mesh("other")).status == 201
        assert admin.apply(DB_1).status == 201
        yield running


@pytest.fixture(scope="module")
def alice(cp: RunningPlatform) -> Person:
    return person(cp, "alice")


@pytest.fixture
def stored(cp: RunningPlatform) -> None:
    """What the owner has."""
    assert person(cp, "root", ADMINS).apply(WEB_1).status in (200, 201)


def told(answer: Any) -> str:
    return str(answer.body["details"])


def test_the_owner_owns(cp: RunningPlatform, alice: Person, stored: None) -> None:
    assert alice.apply(of_service("web-1", "web", version="2")).status == 200
    assert alice.apply(of_service("web-2", "web")).status == 201
    assert alice.apply(of_service("web-2", "web"), "?dry-run=validate").status == 200
    assert alice.delete(of_service("web-2", "web")).status == 200
    assert alice.delete(of_service("web-2", "web")).status == 404


TAKEN = {
    "the Dataplane of another": of_service("db-1", "web"),
    "his own with the tag of another": of_service("web-1", "db"),
    "his own with one more inbound": of_service("web-1", "web", "db"),
    "a new one": of_service("db-2", "db"),
    "a gateway": dataplane("web-1", gateway={"service": "db"}),
    "a name that looks alike": of_service("web-1", "WEB"),
    "a name with a sign that nobody sees": of_service("web-1", "web\u200b"),
    "a name with the star of selectors": of_service("web-1", "w*"),
    "another mesh": of_service("web-1", "web", mesh="other"),
}


@pytest.mark.parametrize("way", TAKEN)
@pytest.mark.parametrize("query", ["", "?dry-run=validate", "?dry-run=xds"])
def test_he_becomes_no_other(alice: Person, stored: None, way: str, query: str) -> None:
    answer = alice.apply(TAKEN[way], query)
    assert answer.status == 403
    assert 'AccessRoleBinding "web-team"' in told(answer)


def test_also_not_by_deleting_and_creating(alice: Person, stored: None) -> None:
    assert alice.delete(DB_1).status == 403
    assert alice.delete(WEB_1).status == 200
    assert alice.apply(of_service("web-1", "db")).status == 403
    assert alice.apply(of_service("web-1", "web")).status == 201


def test_a_mesh_takes_its_dataplanes_along_and_is_not_his(alice: Person) -> None:
    for document in (mesh("default"), mesh("other"), mesh("new")):
        assert alice.apply(document).status == 403
        assert alice.delete(document).status == 403


OWN_RIGHTS = {
    "a role": {**WEB_OWNER, "rules": [{"verbs": ["*"], "kinds": ["*"]}]},
    "a binding": {**WEB_TEAM, "users": ["alice", "eve"]},
    "a new role": {**WEB_OWNER, "name": "mine", "rules": [{"verbs": ["*"], "kinds": ["*"]}]},
}


@pytest.mark.parametrize("what", OWN_RIGHTS)
def test_nobody_but_an_admin_writes_roles(cp: RunningPlatform, what: str) -> None:
    """Not even who may do everything else: a role for writing roles cannot be written either."""
    admin, mighty = person(cp, "root", ADMINS), person(cp, "mighty")
    everything = {"type": "AccessRole", "name": "everything", "rules": [{"verbs": ["*"], "kinds": ["*"]}]}
    bound = {"type": "AccessRoleBinding", "name": "mighty", "users": ["mighty"], "roles": ["everything"]}
    for document in (everything, bound):
        assert admin.apply(document).status in (200, 201)
    assert mighty.apply(of_service("any-1", "any")).status in (200, 201)
    for query in ("", "?dry-run=validate"):
        answer = mighty.apply(OWN_RIGHTS[what], query)
        assert answer.status == 403
        assert "written by admins alone" in told(answer)
    assert mighty.delete(OWN_RIGHTS[what]).status == 403
    widened = {**everything, "rules": [{"verbs": ["put"], "kinds": ["AccessRole"]}]}
    refused = admin.apply(widened)
    assert refused.status == 400
    assert refused.body["causes"][0]["field"] == "rules[0].kinds[0]"


def test_tokens_of_users_and_their_keys_are_for_admins(cp: RunningPlatform) -> None:
    everything = person(cp, "mighty")
    request = {"name": "eve", "groups": [ADMINS], "validFor": "1h"}
    for path in ("/tokens/user", "/tokens/signing-keys", "/tokens/revocations"):
        assert everything.ask("POST", path, request, cp.admin).status == 403


# -- whoever writes at the same time


class RacingStore(MemoryStore):
    """Somebody else writes at the moment before a write, once."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] | None = None
        self.told: list[str] = []

    def _race(self, verb: str, key: ResourceKey) -> None:
        if key.type == "Dataplane" and self.before:
            before, self.before = self.before, None
            self.told.append(verb)
            before()

    def create(self, key: ResourceKey, document: str) -> Record:
        self._race("create", key)
        return super().create(key, document)

    def update(self, key: ResourceKey, document: str, version: str) -> Record:
        self._race("update", key)
        return super().update(key, document, version)

    def delete_exactly(self, key: ResourceKey, version: str) -> None:
        self._race("delete", key)
        super().delete_exactly(key, version)

    @hookimpl
    def kuma_register_stores(self) -> list[StoreFactory]:
        @contextmanager
        def opened(config: Config) -> Iterator[MemoryStore]:
            yield self

        return [StoreFactory("memory", opened)]


@pytest.fixture(scope="module")
def store() -> RacingStore:
    return RacingStore()


@pytest.fixture(scope="module")
def raced(store: RacingStore) -> Iterator[RunningPlatform]:
    with with_roles(store=store) as running:
        yield running


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
def test_a_write_counts_for_what_was_looked_at_alone(
    raced: RunningPlatform, store: RacingStore, verb: str
) -> None:
    """Between the question and the write the name becomes another service's: the question is asked again."""
    admin, alice = person(raced, "root", ADMINS), person(raced, "alice")
    name = f"raced-{verb}"
    mine, theirs = of_service(name, "web"), of_service(name, "db")
    if verb != "create":
        assert admin.apply(mine).status == 201

    def another() -> None:
        if verb != "create":
            assert admin.delete(theirs).status == 200
        assert admin.apply(theirs).status == 201

    store.told.clear()
    store.before = another
    answer = (
        alice.delete(mine) if verb == "delete" else alice.apply({**mine, **of_service(name, "web", v="2")})
    )
    assert store.told == [verb]
    assert answer.status == 403
    found = admin.ask("GET", f"/meshes/default/dataplanes/{name}").body
    assert found["networking"] == theirs["networking"]


# -- tokens of dataplanes


def test_a_token_is_for_services_that_one_may_write(cp: RunningPlatform, alice: Person) -> None:
    good = alice.generate_token(name="web-1", services=["web"])
    assert good.status == 200
    assert good.body.count(".") == 2
    for request in (
        {"name": "web-1", "services": ["web", "db"]},
        {"services": ["db"]},
        {"name": "web-1", "services": ["web"], "mesh": "other"},
        {"name": "web-1", "tags": {"version": ["1"]}},
        {"name": "web-1"},
    ):
        assert alice.generate_token(**request).status == 403, request
    assert "--service" in told(alice.generate_token(name="web-1"))


# -- when it counts


def test_a_change_counts_with_the_next_request(cp: RunningPlatform) -> None:
    admin, bob = person(cp, "root", ADMINS), person(cp, "bob", "bobs")
    bound = {"type": "AccessRoleBinding", "name": "bobs", "groups": ["bobs"], "roles": ["web-owner"]}
    document = of_service("bobs-1", "web")
    for _ in range(2):
        assert bob.apply(document).status == 403
        assert admin.apply(bound).status == 201
        assert bob.apply(document).status in (200, 201)
        assert admin.delete(bound).status == 200
    assert bob.apply(document).status == 403


def test_it_counts_on_every_control_plane_of_the_store() -> None:
    """As soon as that one hears of it, which no request waits for."""
    store = SharedStore(MemoryStore())
    with with_roles(store=store) as one, running_platform([store, kuma_access_roles], {MODE: "token"}) as two:
        admin, alice = person(one, "root", ADMINS), person(two, "alice")
        eventually(lambda: alice.apply(WEB_1).status in (200, 201), what="the binding counts on the other")
        assert admin.delete(WEB_TEAM).status == 200
        eventually(lambda: alice.apply(WEB_1).status == 403, what="the deletion counts on the other")


def test_warnings_for_the_writers_of_roles(cp: RunningPlatform) -> None:
    admin = person(cp, "root", ADMINS)
    odd = {"type": "AccessRole", "name": "odd", "rules": [{"verbs": ["get"], "kinds": ["Dataplanes"]}]}
    bound = {"type": "AccessRoleBinding", "name": "odd", "users": ["x"], "roles": ["odd", "gone"]}
    assert "serves no kind" in warning(admin.apply(odd))
    tagged = {"verbs": ["put"], "kinds": ["Mesh"], "tags": {"service": ["web"]}}
    assert "Mesh has no tags" in warning(admin.apply({**odd, "rules": [tagged]}))
    assert "gone" in warning(admin.apply(bound))
    assert "odd" in warning(admin.delete(odd))
    admin.delete(bound)


def warning(answer: Any) -> str:
    (found,) = [value for name, value in answer.headers.items() if name.lower() == "warning"]
    return str(found)


# -- who reads


def test_without_a_role_a_user_reads_nothing_in_mode_token(cp: RunningPlatform) -> None:
    nobody, carol, reader = Person(cp), person(cp, "carol"), person(cp, "dora", READERS)
    for path in ("/meshes", "/meshes/default/dataplanes", "/meshes/default/dataplanes/db-1", "/access-roles"):
        assert nobody.ask("GET", path).status == 401
        assert carol.ask("GET", path).status == 403
        assert reader.ask("GET", path).status == 200
    assert reader.apply(WEB_1).status == 403


def test_a_list_is_shown_as_a_whole_or_refused(cp: RunningPlatform) -> None:
    admin, erin = person(cp, "root", ADMINS), person(cp, "erin")
    rules = [
        {"verbs": ["list"], "kinds": ["Dataplane"], "meshes": ["default"]},
        {"verbs": ["get"], "kinds": ["Mesh"], "names": ["d*"]},
    ]
    bound = {"type": "AccessRoleBinding", "name": "erin", "users": ["erin"], "roles": ["lists"]}
    for document in ({"type": "AccessRole", "name": "lists", "rules": rules}, bound):
        assert admin.apply(document).status == 201
    assert erin.ask("GET", "/meshes/default/dataplanes").status == 200
    assert erin.ask("GET", "/meshes/other/dataplanes").status == 403
    assert erin.ask("GET", "/meshes/default/dataplanes/db-1").status == 403
    assert erin.ask("GET", "/meshes/default").status == 200
    assert erin.ask("GET", "/meshes/other").status == 403
    assert erin.ask("GET", "/meshes").status == 403
    assert erin.ask("GET", "/meshes/default/service-map").status == 403


# -- the other modes


def test_in_localhost_is_admin_a_token_counts_and_not_the_place() -> None:
    with with_roles(mode="localhostIsAdmin") as running:
        alice, local = person(running, "alice"), Person(running)
        assert local.apply(DB_1).status == 201
        assert alice.apply(WEB_1).status == 201
        assert alice.apply(DB_1).status == 403


def test_in_open_everybody_is_an_admin() -> None:
    with with_roles(mode="open") as running:
        assert person(running, "alice").apply(DB_1).status == 201
        assert Person(running).apply(WEB_1).status == 201


# -- what one may ask about oneself


def can_i(who: Person, **query: str) -> tuple[bool, str]:
    answer = who.ask("GET", "/can-i?" + "&".join(f"{key}={value}" for key, value in query.items()))
    assert answer.status == 200, answer
    return answer.body["allowed"], answer.body["why"]


def test_can_i_says_what_a_request_would_be_answered(cp: RunningPlatform, alice: Person) -> None:
    about = {"verb": "put", "kind": "Dataplane", "mesh": "default"}
    allowed, why = can_i(alice, **about, tag="service=web")
    assert (allowed, why) == (True, 'AccessRoleBinding "web-team" (AccessRole "web-owner")')
    refused, why = can_i(alice, **about, tag="service=db")
    assert not refused
    assert 'not with the tag "service=db"' in why
    assert not can_i(alice, **about)[0]
    assert not can_i(Person(cp), **about, tag="service=web")[0]
    assert can_i(person(cp, "root", ADMINS), verb="delete", kind="Mesh") == (True, f"group {ADMINS}")
    assert not can_i(person(cp, "root", ADMINS), verb="put", kind="DataplaneOverview")[0]


def test_a_question_that_is_none(alice: Person) -> None:
    answer = alice.ask("GET", "/can-i?verb=dance&kind=Floor&tag=x")
    assert answer.status == 400
    assert [cause["field"] for cause in answer.body["causes"]] == ["verb", "kind", "tag"]
    for query in ("verb=put&kind=Mesh&tag=a=b", "verb=generate-token&kind=Mesh"):
        assert alice.ask("GET", f"/can-i?{query}").status == 400


def test_whoami(cp: RunningPlatform, alice: Person) -> None:
    found = alice.ask("GET", "/whoami").body
    assert (found["name"], found["groups"], found["by"], found["rights"]) == (
        "alice",
        [],
        "token",
        ["public"],
    )
    assert person(cp, "root", ADMINS).ask("GET", "/whoami").body["rights"] == ["public", "reader", "admin"]
    assert person(cp, "dora", READERS).ask("GET", "/whoami").body["rights"] == ["public", "reader"]
    stranger = Person(cp).ask("GET", "/whoami")
    assert (stranger.status, stranger.body["by"]) == (200, "nobody")
    assert Person(cp, "no.token.atall").ask("GET", "/whoami").status == 401


def test_without_the_plugin_the_two_groups_are_all() -> None:
    with running_platform([kuma_store_memory], {MODE: "token"}) as cp:
        alice, reader, admin = person(cp, "alice"), person(cp, "dora", READERS), person(cp, "root", ADMINS)
        assert [who.ask("GET", "/meshes").status for who in (alice, reader, admin)] == [403, 200, 200]
        assert [who.apply(WEB_1).status for who in (alice, reader, admin)] == [403, 403, 201]
        assert alice.ask("GET", "/access-roles").status == 404
        assert not can_i(alice, verb="put", kind="Dataplane", mesh="default", tag="service=web")[0]
