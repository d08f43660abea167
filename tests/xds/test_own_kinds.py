"""Generators and policies of third parties that read resources of a kind that nobody else knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import CLUSTER, Draft, Ends, Generator, Policy, PolicyScope, ResourceType, Scope, Spec
from kuma_core.sdk.envoy import Cluster, ProxyView
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient


class SignSpec(Spec):
    text: str = ""


class PatienceSpec(Spec):
    """A policy whose effect depends on resources of another kind."""


def build(text: str) -> Cluster:
    return Cluster(name="signs", alt_stat_name=text)


def generate(view: ProxyView) -> Iterable[Draft]:
    texts = [spec.text for spec in view.resources("Sign").values()]
    world = [spec.text for spec in view.resources("Flag").values()]
    if texts or world:
        yield Draft(CLUSTER, "signs", " ".join([*texts, *world]), build)


def resolve(matches: Any, subject: Any) -> str:
    return " ".join(spec.text for spec in subject.resources("Sign").values()) or "none"


def rename(cluster: Cluster, text: str) -> None:
    cluster.alt_stat_name = text


def plugin() -> ModuleType:
    made: Any = ModuleType("signs")
    kinds = [
        ResourceType("Sign", "signs", SignSpec, "sign"),
        ResourceType("Flag", "flags", SignSpec, "flag", scope=Scope.GLOBAL),
        ResourceType("Note", "notes", SignSpec, "note", affects_proxies=False),
        ResourceType("Patience", "patience", PatienceSpec, "patience-policy"),
    ]
    every = Ends(sources=((("service", "*"),),), destinations=((("service", "*"),),))
    policy = Policy("Patience", 5000, PolicyScope.DESTINATION, lambda spec: every, resolve, rename)
    made.kuma_register_resource_types = hookimpl(lambda: kinds)
    made.kuma_register_generators = hookimpl(lambda: [Generator("signs", 350, generate)])
    made.kuma_register_policies = hookimpl(lambda: [policy])
    return made  # type: ignore[no-any-return]


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, plugin()]) as platform:
        platform.apply(
            mesh("shop"),
            dataplane("web-1", inbound("127.0.0.1:8080:80", "web"), outbounds=[outbound(":7000", "far")]),
            dataplane("web-1", inbound("127.0.0.1:8081:80", "web"), mesh="shop"),
        )
        yield platform


def sign(name: str, text: str, mesh: str = "default") -> dict[str, str]:
    return {"type": "Sign", "mesh": mesh, "name": name, "text": text}


def signs_of(client: DeltaClient, cluster: str = "signs") -> str:
    """What the cluster says that a proxy runs with."""
    found = client.resources.get(CLUSTER, {}).get(cluster)
    return str(Cluster.parse(found).alt_stat_name) if found is not None else ""


def test_a_change_reaches_the_generator_that_reads_the_kind(cp: RunningPlatform) -> None:
    with fleet(cp) as envoys:
        here, there = DeltaClient("default.web-1"), DeltaClient("shop.web-1")
        envoys.connect(here)
        envoys.connect(there)
        cp.apply(sign("a", "mind the gap"))
        eventually(lambda: signs_of(here) == "mind the gap")
        cp.apply(sign("a", "mind the step"), sign("b", "twice"))
        eventually(lambda: signs_of(here) == "mind the step twice")
        cp.delete("/meshes/default/signs/a")
        eventually(lambda: signs_of(here) == "twice")
        assert signs_of(there) == ""


def test_a_change_of_a_global_kind_reaches_every_mesh(cp: RunningPlatform) -> None:
    with fleet(cp) as envoys:
        clients = [DeltaClient("default.web-1"), DeltaClient("shop.web-1")]
        for client in clients:
            envoys.connect(client)
        cp.apply({"type": "Flag", "name": "f", "text": "white"})
        eventually(lambda: [signs_of(client) for client in clients] == ["white", "white"])


def test_a_change_reaches_the_policy_that_reads_another_kind(cp: RunningPlatform) -> None:
    cp.apply({"type": "Patience", "mesh": "default", "name": "p"})
    with fleet(cp) as envoys:
        client = DeltaClient("default.web-1")
        envoys.connect(client)
        eventually(lambda: signs_of(client, "far") == "none")
        cp.apply(sign("a", "slow"))
        eventually(lambda: signs_of(client, "far") == "slow")


def test_a_change_that_nobody_reads_generates_nothing(cp: RunningPlatform) -> None:
    def generated() -> int:
        return cp.platform.core.proxies.reconciler.work.generated

    with fleet(cp) as envoys:
        client = DeltaClient("shop.web-1")
        envoys.connect(client)
        eventually(lambda: client.resources.get(CLUSTER))
        before = generated()
        cp.apply({"type": "Note", "mesh": "shop", "name": "n", "text": "x"}, sign("a", "far away"))
        cp.apply(sign("b", "here", "shop"))
        eventually(lambda: signs_of(client) == "here")
        assert generated() == before + 1


def test_a_dry_run_shows_whom_a_resource_of_the_kind_changes(cp: RunningPlatform) -> None:
    tried = cp.put("/meshes/default/signs/a?dry-run=xds", sign("a", "mind the gap"))
    assert tried.status == 200
    ((change,),) = [proxy["changes"] for proxy in tried.body["proxies"]]
    assert (change["name"], "mind the gap" in change["diff"]) == ("signs", True)
    assert cp.get("/meshes/default/signs/a").status == 404


def test_views_count_what_affects_proxies(cp: RunningPlatform) -> None:
    views = cp.platform.core.proxies.views
    cp.apply(sign("a", "x"), sign("b", "y", "shop"), {"type": "Flag", "name": "f", "text": "white"})
    eventually(lambda: (views.counts()["Sign"], views.counts()["Flag"]) == (2, 1))
    assert "Note" not in views.counts()
    with pytest.raises(KeyError, match="Note is no registered kind that affects proxies"):
        views.resources("Note", "default")


class Wrong(Spec):
    """A route of a plugin that resolves to something else."""


def test_a_route_that_is_none_is_told_with_its_plugin() -> None:
    every = Ends(sources=((("service", "*"),),), destinations=((("service", "*"),),))
    wrong = Policy("Detour", 10, PolicyScope.ROUTE, lambda spec: every, lambda matches, subject: "left")
    made: Any = ModuleType("acme")
    made.kuma_register_resource_types = hookimpl(lambda: [ResourceType("Detour", "detours", Wrong, "detour")])
    made.kuma_register_policies = hookimpl(lambda: [wrong])
    with running_platform([kuma_store_memory, made]) as cp:
        cp.apply(
            {"type": "Detour", "mesh": "default", "name": "d"},
            dataplane("web-1", inbound("127.0.0.1:8080:80", "web"), outbounds=[outbound(":7000", "far")]),
        )
        tried = cp.get("/meshes/default/explain?source=dataplane:web-1&destination=service:far")
        assert tried.status == 500
        with fleet(cp) as envoys:
            envoys.connect(DeltaClient("default.web-1"))
            proxies = cp.platform.core.proxies
            eventually(lambda: proxies.streams.problem("default", "web-1"))
            problem = proxies.streams.problem("default", "web-1")
    assert 'plugin "acme": the policy for "Detour" resolved to \'left\', and a route is a tuple' in problem
