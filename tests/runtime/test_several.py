"""Several control planes over one store: one leads, and clears up after those that are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin.cluster import components as instances
from kuma_core.builtin.cluster.kinds import INSTANCE, MESH_DELETION
from kuma_core.builtin.cluster.leases import Lease
from kuma_core.builtin.cluster.specs import InstanceSpec
from kuma_core.lifecycle import Stop
from kuma_core.runtime import leadership
from kuma_core.sdk import Component, Config, Context, hookimpl
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

OVERVIEW = "/meshes/default/dataplanes+insights/web-1"
WEB = dataplane("web-1", inbound("10.0.0.5:80:80", "web"))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same proportions, within a second."""
    for module, name, seconds in (
        (leadership, "RENEW_SECONDS", 0.1),
        (instances, "BEAT_SECONDS", 0.1),
        (instances, "DEAD_SECONDS", 0.6),
        (instances, "LOOK_SECONDS", 0.1),
        (instances, "FINISH_SECONDS", 0.1),
    ):
        monkeypatch.setattr(module, name, seconds)


class Counting:
    """A plugin with a leader's component that says where it runs."""

    def __init__(self) -> None:
        self.running: list[str] = []

    @hookimpl
    def kuma_register_components(self, context: Context) -> Iterable[Component]:
        running, own_id = self.running, context.instance_id

        class Part:
            name, leader_only = "counting", True

            def run(self, stop: Stop) -> None:
                running.append(own_id)
                stop.wait()
                running.remove(own_id)

        return [Part()]


@pytest.fixture
def shared() -> Iterator[SharedStore]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as store:
        yield SharedStore(store)


def streams(cp: RunningPlatform) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cp.get(OVERVIEW).body.get("dataplaneInsight", {}).get("subscriptions", [])
    return found


def alive(cp: RunningPlatform) -> set[str]:
    return set(cp.offer("builtin.cluster").instances.all())


def test_a_leaders_component_runs_on_one_at_a_time(shared: SharedStore) -> None:
    counting = Counting()
    with running_platform([shared, counting]) as one:
        eventually(lambda: counting.running == [one.platform.instance_id])
        with running_platform([shared, counting]) as two:
            eventually(lambda: alive(one) == {one.platform.instance_id, two.platform.instance_id})
            assert counting.running == [one.platform.instance_id]
            one.platform.stop()
            eventually(lambda: counting.running == [two.platform.instance_id])
            eventually(lambda: alive(two) == {two.platform.instance_id})


def test_who_leads_is_a_metric(shared: SharedStore) -> None:
    def leads(cp: RunningPlatform) -> str:
        text = str(cp.request("GET", "/metrics", port=cp.diagnostics).body)
        return next(line for line in text.splitlines() if line.startswith("kuma_leader "))

    with running_platform([shared]) as one:
        eventually(lambda: leads(one) == "kuma_leader 1.0")
        with running_platform([shared]) as two:
            assert leads(two) == "kuma_leader 0.0"


def test_the_streams_of_a_killed_instance_are_closed(shared: SharedStore) -> None:
    """What a killed one leaves: its record, and an insight that says that a stream is open."""
    with running_platform([shared]) as one:
        one.apply(WEB)
        with running_platform([shared]) as two, fleet(two) as envoys:
            envoys.connect(DeltaClient("default.web-1"))
            eventually(lambda: streams(one) and not streams(one)[0].get("disconnectTime"))
            left = shared.store.list("DataplaneInsight")[0].document
            own = two.platform.instance_id
        shared.store.create(INSTANCE.key("", own), '{"beats": 7}')
        record = shared.store.list("DataplaneInsight")[0]
        shared.store.update(record.key, left, record.version)
        assert not streams(one)[0].get("disconnectTime")
        eventually(lambda: streams(one)[0].get("disconnectTime"), what="the stream, closed by the leader")
        assert own not in alive(one)


def test_one_that_was_taken_for_dead_tells_its_streams_again(
    shared: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "BEAT_SECONDS", 1.5)
    with running_platform([shared]) as one, fleet(one) as envoys:
        one.apply(WEB)
        envoys.connect(DeltaClient("default.web-1"))
        eventually(lambda: streams(one))
        known = one.offer("builtin.cluster").instances
        known.beat()
        known.remove(one.platform.instance_id)
        instances.InstanceWatch(known, one.platform.core.resources).look()
        assert streams(one)[0].get("disconnectTime")
        eventually(lambda: one.platform.instance_id in alive(one))
        eventually(lambda: not streams(one)[0].get("disconnectTime"), what="the stream, told again")


def test_a_deletion_that_nobody_finished_is_finished(shared: SharedStore) -> None:
    with running_platform([shared]) as one:
        one.apply(mesh("shop"), WEB | {"mesh": "shop"})
        dead = Lease(shared.store, MESH_DELETION, "shop", "dead", 10)
        assert dead.hold()
        dead.give_back()
        eventually(lambda: one.get("/meshes/shop").status == 404)
        eventually(lambda: shared.store.list(MESH_DELETION.name) == [])
        assert shared.store.list("Dataplane", "shop") == []


def test_what_instances_keep_for_each_other_is_in_no_api(shared: SharedStore) -> None:
    with running_platform([shared]) as one:
        assert one.get("/instances").status == 404
        assert one.get("/leases").status == 404
        kinds = one.get("/kinds").body
        assert "Instance" not in str(kinds)


def test_the_record_of_an_instance_says_its_version(shared: SharedStore) -> None:
    from kuma_core import __version__

    with running_platform([shared]) as one:
        (spec,) = one.offer("builtin.cluster").instances.all().values()
        assert isinstance(spec, InstanceSpec)
        assert spec.version == __version__
