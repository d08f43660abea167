"""The owner of one service, by an access policy: they cannot become another, not by deleting and creating, by tags, by
a gateway, by another mesh, nor by a race of two writers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.errors import Conflict
from kuma_core.model import Resource, ResourceKey
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import AccessPolicy, Asked, Decision, Verb
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import Asker, mode

WEB, ECHO = "/meshes/default/dataplanes/web-1", "/meshes/default/dataplanes/echo-1"


def owners() -> ModuleType:
    """A plugin: who is in the group ``owns-X`` speaks for the service X in the mesh default."""

    def decide(asked: Asked) -> Decision:
        own = {group.removeprefix("owns-") for group in asked.user.groups if group.startswith("owns-")}
        services = [dict(tags).get("service", "") for tags in asked.tag_sets]
        fits = bool(services) and set(services) <= own
        reads = asked.verb in (Verb.GET, Verb.LIST)
        allowed = asked.mesh == "default" and asked.kind == "Dataplane" and (reads or fits)
        return Decision(allowed, f"owner of {sorted(own)}", ("ask the owner of the service",))

    made = ModuleType("owners")
    made.__dict__["kuma_register_access"] = hookimpl(
        lambda context: [AccessPolicy("owners", (), lambda snapshot: decide)]
    )
    return made


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, owners()], mode("token")) as running:
        admin = Asker(running, token=running.user_token("root", "kuma:admin"))
        assert admin("PUT", "/meshes/shop", mesh("shop")).status == 201
        yield running


@pytest.fixture
def admin(cp: RunningPlatform) -> Asker:
    asker = Asker(cp, token=cp.user_token("root", "kuma:admin"))
    asker("PUT", WEB, web())
    asker("PUT", ECHO, echo())
    return asker


@pytest.fixture
def owner(cp: RunningPlatform, admin: Asker) -> Asker:
    return Asker(cp, token=cp.user_token("wendy", "owns-web"))


def web(*tags: str, **more: Any) -> dict[str, Any]:
    services = tags or ("web",)
    ports = [inbound(f"192.0.2.9:{10001 + n}:9001", service) for n, service in enumerate(services)]
    return {**dataplane("web-1", *ports), **more}


def echo() -> dict[str, Any]:
    return dataplane("echo-1", inbound("192.0.2.9:10000:9000", "echo"))


def gateway(service: str) -> dict[str, Any]:
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": "web-1",
        "networking": {"gateway": {"tags": {"service": service}}},
    }


def test_an_owner_writes_what_is_theirs(owner: Asker) -> None:
    assert owner("PUT", WEB, web("web", "web")).status == 200
    assert owner("PUT", f"{WEB}?dry-run=validate", web()).status == 200
    assert owner("DELETE", WEB).status == 200
    assert owner("PUT", WEB, web()).status == 201
    assert owner("GET", ECHO).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", WEB, web("echo")),
        ("PUT", WEB, web("web", "echo")),
        ("PUT", WEB, gateway("echo")),
        ("PUT", f"{WEB}?dry-run=validate", web("echo")),
        ("PUT", f"{WEB}?dry-run=xds", web("echo")),
        ("PUT", ECHO, {**web(), "name": "echo-1"}),
        ("PUT", f"{ECHO}?dry-run=validate", {**web(), "name": "echo-1"}),
        ("DELETE", ECHO, None),
        ("DELETE", f"{ECHO}?dry-run=validate", None),
        ("PUT", "/meshes/shop/dataplanes/web-1", {**web(), "mesh": "shop"}),
        ("PUT", "/meshes/default", mesh("default")),
        ("DELETE", "/meshes/shop", None),
        ("GET", f"{WEB}/xds", None),
        ("GET", "/audit", None),
    ],
)
def test_an_owner_becomes_nobody_else(owner: Asker, method: str, path: str, body: Any) -> None:
    answer = owner(method, path, body)
    assert answer.status == 403
    assert "owner of ['web']" in answer.body["details"]
    assert "ask the owner of the service" in answer.body["details"]
    assert owner("GET", ECHO).body["networking"] == echo()["networking"]


def between(cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Have somebody else write once, after what is there was read and before it is written over."""
    store, done = cp.platform.core.store, threading.Event()
    for verb in ("update", "delete_exactly"):
        original = getattr(type(store), verb)

        def write(self: Any, key: ResourceKey, *rest: Any, original: Any = original) -> Any:
            if key.type == "Dataplane" and not done.is_set():
                done.set()
                meanwhile()
            return original(self, key, *rest)

        monkeypatch.setattr(type(store), verb, write)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_second_writer_slips_in_between(
    cp: RunningPlatform, admin: Asker, owner: Asker, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The owner's write looked at web; what is there by then is echo's, and stays."""
    foreign = {**echo(), "name": "web-1"}
    between(cp, monkeypatch, lambda: admin("PUT", WEB, foreign))
    answer = owner(method, WEB, web("web", "web") if method == "PUT" else None)
    assert answer.status == 403
    assert admin("GET", WEB).body["networking"] == echo()["networking"]


def test_a_check_of_what_is_there_holds_for_who_cannot_read_it(cp: RunningPlatform) -> None:
    """The manager asks about each state that it finds, and writes over that state alone."""
    resources = cp.platform.core.resources
    key = ResourceKey("Dataplane", "default", "web-1")
    spec = resources.get(key).spec
    seen: list[Resource] = []
    resources.put(Resource(key, spec), seen.append)
    assert [item.spec for item in seen] == [spec]
    with pytest.raises(Conflict):
        resources.delete(key, _refuse)
    assert resources.find(key) is not None


def _refuse(found: Resource) -> None:
    raise Conflict("no")


def test_which_policy_allowed_it_is_in_the_audit(cp: RunningPlatform, owner: Asker, admin: Asker) -> None:
    owner("PUT", WEB, web("web", "web", "web"))
    owner("PUT", WEB, web("echo"))
    denied, accepted = admin("GET", "/audit").body["items"][:2]
    assert (accepted["user"], accepted["binding"], accepted["result"]) == (
        "wendy",
        "owner of ['web']",
        "updated",
    )
    assert (denied["user"], denied["result"], denied["asked"]) == (
        "wendy",
        "denied",
        "put Dataplane 'web-1' in mesh 'default'",
    )
