"""The name ``*``, which to Envoy means everything, in documents that were stored when nothing was said against it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.model import ResourceKey
from kuma_core.testing.builders import outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_core.xds import seal

from .support import Machine, fetch
from .test_traffic import client, instance

ROUTE = ResourceKey("TrafficRoute", "default", "to-all")
STORED = (
    '{"sources":[{"match":{"service":"*"}}],"destinations":[{"match":{"service":"ledger"}}],'
    '"conf":[{"weight":1,"destination":{"service":"*"}}]}'
)


@pytest.fixture
def machine(variant: str, tmp_path: Path) -> Iterator[Machine]:
    settings = {"KUMA_XDS_SERVER_PROTOCOL": variant, "KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
    plugins = [kuma_store_memory, kuma_policy_traffic]
    with running_platform(plugins, settings) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


def two_services(machine: Machine) -> tuple[int, int]:
    """A ledger and a shop, and a client of both; the ports at which it calls them."""
    ledger, shop = free_port(), free_port()
    machine.cp.apply(
        instance(machine, "ledger-1", "ledger"),
        instance(machine, "shop-1", "shop"),
        client("web", outbound(f":{ledger}", "ledger"), outbound(f":{shop}", "shop")),
    )
    for name in ("ledger-1", "shop-1"):
        machine.sidecar(name)
    return ledger, shop


def move_the_shop(machine: Machine, name: str, old: str) -> None:
    """Another instance takes over, so that new endpoints have to arrive."""
    machine.cp.apply(instance(machine, name, "shop"))
    machine.sidecar(name)
    machine.cp.delete(f"/meshes/default/dataplanes/{old}")


def answered_by(port: int, name: str) -> bool:
    try:
        return fetch(port) == name
    except OSError:
        return False


def test_services_that_a_stored_route_never_named_stay_alive(machine: Machine) -> None:
    ledger, shop = two_services(machine)
    machine.cp.platform.core.store.create(ROUTE, STORED)
    web = machine.sidecar("web")
    eventually(lambda: answered_by(shop, "shop-1"))
    with pytest.raises(OSError, match=r"reset|closed"):
        fetch(ledger)
    move_the_shop(machine, "shop-2", "shop-1")
    eventually(lambda: answered_by(shop, "shop-2"))
    assert "*" not in web.clusters()
    [proxy] = machine.cp.get("/meshes/default/dataplanes/web/xds").body["proxies"]
    assert '"*" is no name, for to Envoy it means all resources' in proxy["warnings"][0]
    assert not any(state["rejection"] for state in proxy["streams"][0]["types"].values())


def test_a_proxy_that_an_older_control_plane_hit_recovers(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, shop = two_services(machine)
    web = machine.sidecar("web")
    eventually(lambda: answered_by(shop, "shop-1") and answered_by(ledger, "ledger-1"))
    with monkeypatch.context() as older:
        older.setattr(seal, "check_names", lambda name, live: None)
        machine.cp.platform.core.store.create(ROUTE, STORED)
        eventually(lambda: "*" in web.clusters())
        move_the_shop(machine, "shop-2", "shop-1")
    machine.cp.delete("/meshes/default/traffic-routes/to-all")
    eventually(lambda: "*" not in web.clusters())
    move_the_shop(machine, "shop-3", "shop-2")
    eventually(lambda: answered_by(shop, "shop-3"))
    eventually(lambda: answered_by(ledger, "ledger-1"))
    assert "*" not in web.clusters()
