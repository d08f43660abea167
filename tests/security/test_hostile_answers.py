"""Plugins that do not answer: a write, a scrape, a certificate or a change of others does not wait for them."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import structlog

import kuma_store_memory
from kuma_core.errors import Violation
from kuma_core.plugin import asking, boundary
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import CaProviderFactory, ChangeListener, Metric, Route
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.identities import SIGNERS

from .hostile import misbehave
from .support import SDS, identity, stream


class Mischief:
    """What a plugin does when it is asked: by name, one after the other, or nothing of the kind."""

    def __init__(self) -> None:
        self.how = ""
        self.let_go = threading.Event()
        self.asked = 0

    def behave(self, how: str = "") -> None:
        """From now on; what hangs is let go."""
        self.let_go.set()
        self.let_go = threading.Event()
        self.how = how

    def act(self, right: Any) -> Any:
        """What the plugin answers."""
        self.asked += 1
        misbehave(self.how, self.let_go, burn_seconds=0.15)
        if self.how == "wrong type":
            return 5
        if self.how == "wrong values":
            return ["no"]
        return itertools.repeat(Violation("name", "never ends")) if self.how == "endless" else right


def plugin(name: str, **hooks: Callable[..., Any]) -> ModuleType:
    made = ModuleType(name)
    for hook, function in hooks.items():
        setattr(made, hook, hookimpl(function))
    return made


class Page:
    """A page of the REST API."""

    def __init__(self, mischief: Mischief) -> None:
        self._mischief = mischief

    def on_get(self, req: Any, resp: Any) -> None:
        """Answer."""
        resp.media = self._mischief.act({"well": True})


@dataclass
class World:
    """A control plane with hostile plugins: what each of their parts does is decided by the test."""

    cp: RunningPlatform
    admits: Mischief
    counts: Mischief
    hears: Mischief
    signs: Mischief
    routes: Mischief
    heard: list[Any]

    def barred(self) -> list[str]:
        """The plugins in quarantine."""
        return [item.plugin for item in self.cp.platform.catalog.boundary.quarantine.barred()]

    def write(self, name: str) -> JsonAnswer:
        """Write a Mesh; the hostile admission has its say of those that are odd."""
        return self.cp.put(f"/meshes/{name}", mesh(name))


@pytest.fixture(scope="module", autouse=True)
def no_tracebacks() -> Iterator[None]:
    """Log as in production: to paint a traceback for a terminal takes longer than an answer may."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def module_world(no_tracebacks: None) -> Iterator[World]:
    admits, counts, hears, signs, routes = (Mischief() for _ in range(5))
    heard: list[Any] = []

    def admit(resource: Any) -> Any:
        return admits.act([]) if resource and resource.name.startswith("odd") else []

    metric = Metric("acme_numbers", "Numbers.", lambda: counts.act([((), 1)]))
    plugins = [
        kuma_store_memory,
        slow_ca(signs),
        plugin("admits", kuma_admit=admit),
        plugin("counts", kuma_register_metrics=lambda context: [metric]),
        plugin("hears", kuma_register_change_listeners=lambda context: [ChangeListener(hears.act)]),
        plugin("routes", kuma_register_routes=lambda context: [Route("/hostile", Page(routes))]),
        plugin("listens", kuma_register_change_listeners=lambda context: [ChangeListener(heard.append)]),
    ]
    with running_platform(plugins) as cp:
        yield World(cp, admits, counts, hears, signs, routes, heard)


@pytest.fixture
def world(module_world: World) -> Iterator[World]:
    yield module_world
    for part in ("admits", "counts", "hears", "signs", "routes"):
        getattr(module_world, part).behave()
        module_world.cp.platform.catalog.boundary.quarantine.release(part)
    module_world.cp.delete("/meshes/odd")
    module_world.cp.delete("/meshes/even")


# -- kuma_admit


@pytest.mark.parametrize(
    "how", ["raises", "raises an exit", "raises spite", "wrong type", "wrong values", "endless"]
)
def test_an_admission_that_fails_refuses_its_write_alone(world: World, how: str) -> None:
    world.admits.behave(how)
    refused = world.write("odd")
    assert refused.status == 500
    assert 'plugin "admits": kuma_admit' in refused.body["details"]
    assert world.cp.get("/meshes/odd").status == 404
    assert world.write("even").status == 201


@pytest.mark.parametrize("how", ["hangs", "burns"])
def test_an_admission_past_its_budget_stores_nothing_and_is_asked_no_more(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.3 if how == "hangs" else 5)
    monkeypatch.setattr(boundary, "BUDGET_SECONDS", 0.1)
    world.admits.behave(how)
    for _ in range(3):
        assert world.barred() == []
        late = world.write("odd")
        assert late.status == 503
        assert 'plugin "admits": kuma_admit' in late.body["details"]
    assert world.barred() == ["admits"]
    refused = world.write("even")
    assert refused.status == 503
    assert "kuma-cp plugins release admits" in refused.body["details"]
    asked = world.admits.asked
    world.admits.behave()  # what hung comes back, to nobody
    assert world.cp.get("/meshes/odd").status == 404
    assert world.admits.asked == asked
    assert world.cp.request("GET", "/ready", port=world.cp.diagnostics).status == 503
    world.cp.platform.catalog.boundary.quarantine.release("admits")
    assert world.write("odd").status == 201


def test_admissions_that_hang_leave_workers_for_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 3.0)
    world.admits.behave("hangs")
    before = world.admits.asked
    with ThreadPoolExecutor(24) as clients:
        waiting = [clients.submit(world.write, f"odd-{number}") for number in range(24)]
        eventually(lambda: world.admits.asked - before == asking.MOST_ASKED)
        began = time.monotonic()
        for _ in range(5):
            assert world.cp.get("/meshes").status == 200
        assert time.monotonic() - began < 3.0
        assert {answer.result().status for answer in waiting} == {503}
    assert world.admits.asked - before <= 2 * asking.MOST_ASKED


# -- metrics and change listeners


@pytest.mark.parametrize("how", ["raises", "raises spite", "wrong type", "wrong values", "endless", "hangs"])
def test_a_metric_that_fails_costs_its_own_numbers(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def metrics() -> str:
        return str(world.cp.request("GET", "/metrics", port=world.cp.diagnostics).body)

    assert "\nacme_numbers 1.0" in metrics()
    if how == "hangs":
        monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.3)
    world.counts.behave(how)
    text = metrics()
    assert "\nacme_numbers" not in text
    assert "kuma_build_info" in text


@pytest.mark.parametrize("how", ["raises", "raises spite", "hangs"])
def test_a_change_listener_that_fails_keeps_changes_from_nobody(world: World, how: str) -> None:
    before = world.hears.asked
    world.hears.behave(how)
    name = f"m-{how.replace(' ', '-')}"
    assert world.write(name).status == 201
    eventually(lambda: name in [change.key.name for change in world.heard if change.key])
    eventually(lambda: world.hears.asked > before)


@pytest.mark.parametrize("how", ["raises", "raises an exit", "raises spite"])
def test_a_route_that_fails_is_answered(world: World, how: str) -> None:
    assert world.cp.get("/hostile").body == {"well": True}
    world.routes.behave(how)
    failed = world.cp.get("/hostile")
    assert (failed.status, failed.body["details"]) == (500, "Internal Server Error")
    assert world.cp.get("/meshes").status == 200


# -- certificate authorities


class SlowCa:
    """An authority that hangs in one mesh, and has an anchor in every other."""

    def __init__(self, real: Any, mischief: Mischief, mesh: str) -> None:
        self._real, self._mischief, self._mesh = real, mischief, mesh

    def validate(self, mesh: str, conf: Any) -> Any:
        return []

    def ensure(self, mesh: str) -> None:
        self._real.ensure(mesh)

    def trust_anchors(self, mesh: str) -> Any:
        return self._real.trust_anchors(mesh)

    def issue(self, mesh: str, public_key: str, uris: Any, ttl: Any) -> Any:
        if mesh == self._mesh:
            self._mischief.act(None)
        return self._real.issue(mesh, public_key, uris, ttl)


def slow_ca(mischief: Mischief) -> ModuleType:
    from kuma_ca_builtin import kuma_register_ca_providers

    (factory,) = kuma_register_ca_providers()

    def opened(config: Any, secrets: Any) -> Any:
        return SlowCa(factory.open(config, secrets), mischief, "stuck")

    return plugin("signs", kuma_register_ca_providers=lambda: [CaProviderFactory("slow", opened)])


def test_an_authority_that_hangs_holds_up_its_own_mesh_alone(world: World) -> None:
    cp = world.cp
    for name in ("stuck", "calm"):
        cp.apply(mesh(name, mtls={"enabled": True, "ca": {"slow": {}}}))
        cp.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web"), mesh=name))
    cp.catch_up()
    world.signs.behave("hangs")
    before, token = world.signs.asked, cp.token("web-1", "stuck")
    with ExitStack() as stack:
        stack.callback(world.signs.behave)
        for _ in range(12):  # the default executor, which all shared, has fewer threads
            opened = stack.enter_context(stream(cp, SDS, token))
            opened.ask("identity_cert", node="stuck.web-1")
        eventually(lambda: world.signs.asked - before == SIGNERS)
        assert "BEGIN CERTIFICATE" in identity(cp, "web-1", "calm")
