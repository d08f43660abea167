"""A plugin that fails, hangs or burns costs its own part: other meshes are served, and proxies keep what they have."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from click.testing import CliRunner

import kuma_store_memory
from kuma_core.plugin import boundary
from kuma_core.resources.contract import Change, Op
from kuma_core.runtime.kuma_cp import root
from kuma_core.sdk.envoy import Cluster
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds import preview, supervision, workbench
from kuma_core.xds.contract import CLUSTER

from .hostile import Hostile

WHERE = ("generate", "build", "resolve", "apply", "ends")
RAISES = ("raises", "raises an exit", "raises spite")


@dataclass
class World:
    """A mesh with a hostile plugin's resource in it, a calm one, and a proxy in each."""

    cp: RunningPlatform
    hostile: Hostile
    proxy: DeltaClient
    calm: DeltaClient
    rounds: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    ports: Iterator[int] = field(default_factory=lambda: itertools.count(9000))

    def write(self) -> str:
        """Write the hostile resource anew; what the proxy has once it has it."""
        number = next(self.rounds)
        self.cp.apply({"type": "Mood", "mesh": "default", "name": "m", "round": number})
        return str(number)

    def has(self) -> tuple[str, str]:
        """What the proxy runs with: the generator's word, and the policy's."""
        found = self.proxy.resources[CLUSTER]
        names = [
            Cluster.parse(found[name]).alt_stat_name if name in found else "" for name in ("mood", "far")
        ]
        return names[0], names[1]

    def settle(self) -> str:
        """Write, and wait until the proxy has it."""
        text = self.write()
        eventually(lambda: self.has() == (text, text), what=f"round {text} at the proxy")
        return text

    def push_to_calm(self) -> None:
        """The other mesh goes on: a change arrives there."""
        service = f"s{next(self.ports)}"
        self.cp.apply(dataplane("web-1", *WEB, outbounds=[outbound(":7000", service)], mesh="calm"))
        eventually(lambda: service in self.calm.resources[CLUSTER], 10, f"{service} in the calm mesh")

    def problem(self) -> str:
        """Why the proxy has nothing newer."""
        return self.cp.platform.core.proxies.reconciler.problem_of("default", "web-1")

    def barred(self) -> list[str]:
        """The plugins in quarantine."""
        return [item.plugin for item in self.cp.platform.catalog.boundary.quarantine.barred()]

    def ready(self) -> JsonAnswer:
        """What ``/ready`` says."""
        return self.cp.request("GET", "/ready", None, self.cp.diagnostics)


WEB = (inbound("127.0.0.1:8080:80", "web"),)


@pytest.fixture(scope="module")
def module_world() -> Iterator[World]:
    hostile = Hostile()
    with running_platform([kuma_store_memory, hostile.module()]) as cp:
        cp.apply(
            mesh("calm"),
            dataplane("web-1", *WEB, outbounds=[outbound(":7000", "far")]),
            dataplane("web-1", *WEB, outbounds=[outbound(":7000", "far")], mesh="calm"),
        )
        with fleet(cp) as envoys:
            world = World(cp, hostile, DeltaClient("default.web-1"), DeltaClient("calm.web-1"))
            envoys.connect(world.proxy)
            envoys.connect(world.calm)
            yield world
            hostile.behave()


@pytest.fixture
def world(module_world: World) -> Iterator[World]:
    module_world.settle()
    yield module_world
    module_world.hostile.behave()
    module_world.cp.platform.catalog.boundary.quarantine.release("hostile")
    module_world.settle()  # as if nothing had been


def check_kept(world: World, kept: str) -> None:
    """Of the hostile plugin nothing newer arrives, and everything else does."""
    world.push_to_calm()
    world.push_to_calm()
    assert world.has() == (kept, kept)


FAILS = [(where, how) for where in WHERE for how in (*RAISES, "wrong type")]


@pytest.mark.parametrize(("where", "how"), [*FAILS, ("generate", "endless")])
def test_a_call_that_fails_costs_its_own_proxies_alone(world: World, where: str, how: str) -> None:
    kept, _ = world.has()
    world.hostile.behave(where, how)
    world.write()
    told = eventually(world.problem)
    assert 'plugin "hostile"' in told
    assert "Mood" in told or "mood" in told
    if where in ("resolve", "apply", "ends"):
        assert '"m"' in told  # the resource
    check_kept(world, kept)


@pytest.mark.parametrize("where", WHERE)
def test_a_call_that_hangs_costs_the_plugin_its_place(
    world: World, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "TICK_SECONDS", 0.1)
    world.hostile.behave(where, "hangs")
    world.write()
    eventually(lambda: world.barred() == ["hostile"], 10)
    kept = world.has()
    world.push_to_calm()
    world.push_to_calm()
    assert "in quarantine" in eventually(world.problem)
    assert world.has() == kept
    said = world.ready()
    assert said.status == 503
    assert 'the plugin "hostile" is in quarantine' in said.body["details"]


@pytest.mark.parametrize("where", WHERE)
def test_a_call_that_burns_the_processor_three_times_costs_the_plugin_its_place(
    world: World, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "BUDGET_SECONDS", 0.05)
    world.hostile.behave(where, "burns")

    def barred() -> bool:
        if not world.barred():
            world.write()
            world.push_to_calm()
        return world.barred() == ["hostile"]

    eventually(barred)
    called = world.hostile.calls
    world.push_to_calm()
    assert world.hostile.calls == called
    assert "processor time" in world.ready().body["details"]


def test_an_operator_sees_a_quarantine_and_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "TICK_SECONDS", 0.1)
    world.hostile.behave("resolve", "hangs")
    world.write()
    eventually(lambda: world.barred() == ["hostile"], 10)
    listed = world.cp.request("GET", "/plugins/quarantine", port=world.cp.admin).body["items"]
    assert [(item["name"], item["reason"]) for item in listed] == [
        ("hostile", "resolve of Mood did not come back")
    ]
    metrics = world.cp.request("GET", "/metrics", port=world.cp.diagnostics).body
    assert 'kuma_plugins_quarantined{plugin="hostile"} 1.0' in metrics
    world.hostile.behave()
    done = CliRunner(env={"KUMA_ADMIN_SERVER_LOCAL_PORT": str(world.cp.admin)}).invoke(
        root, ["plugins", "release", "hostile"], catch_exceptions=False
    )
    assert done.output.endswith("called again: hostile\n")
    assert world.ready().status == 200
    world.settle()
    gone = world.cp.request("DELETE", "/plugins/quarantine/hostile", port=world.cp.admin)
    assert (gone.status, gone.body["details"]) == (404, 'the plugin "hostile" is not in quarantine')


def test_a_dry_run_that_hangs_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbench, "HELD_SECONDS", 0.5)
    monkeypatch.setattr(preview, "DEADLINE_SECONDS", 1.0)
    monkeypatch.setattr(preview, "GRACE_SECONDS", 0.0)
    mood = {"type": "Mood", "mesh": "default", "name": "m", "round": 99_999}
    path = "/meshes/default/moods/m?dry-run=xds"
    assert world.cp.put(path, mood).status == 200
    world.hostile.behave("resolve", "hangs")
    assert world.cp.put(path, mood).status == 503
    assert world.barred() == ["hostile"]
    world.hostile.behave()
    world.cp.platform.catalog.boundary.quarantine.release("hostile")
    assert world.cp.put(path, mood).status == 200


@pytest.mark.parametrize("how", [*RAISES, "hangs"])
def test_a_stored_record_that_its_kind_cannot_read_any_more_stays_what_it_was(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade of the plugin: no start, no look at everything, ends for it, and nothing is taken away."""
    monkeypatch.setattr(supervision, "TICK_SECONDS", 0.1)
    kept = world.has()
    world.hostile.behave("read", how)
    reader = world.cp.platform.core.resources._reader
    reader.forget_mesh("default")
    world.cp.platform.core.proxies.reconciler.changed(Change(Op.RESYNC))
    eventually(lambda: world.hostile.calls)
    world.push_to_calm()
    world.push_to_calm()
    assert world.has() == kept
