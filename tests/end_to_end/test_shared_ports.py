"""Sidecars of one machine that name one port: the first has it, the second says that it has not."""

from __future__ import annotations

from typing import Any

import pytest

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_core.xds.generators import common

from .support import Machine, fetch
from .test_metrics_listener import lists_statistics, measured
from .test_traffic import client, instance

TAKEN = "Address already in use"


def listeners_of(machine: Machine, name: str) -> dict[str, Any]:
    """What ``kumactl inspect xds`` knows of the listeners of a proxy."""
    streams = machine.cp.get(f"/meshes/default/dataplanes/{name}/xds").body["proxies"][0]["streams"]
    return streams[0]["types"]["lds"] if streams else {"rejection": ""}


def rejection(machine: Machine, name: str) -> str:
    found = eventually(lambda: listeners_of(machine, name)["rejection"], what="a rejection")
    assert "give one of them another port" in listeners_of(machine, name)["hint"]
    return str(found)


def answers(port: int, requests: int = 40) -> set[str]:
    return {fetch(port) for _ in range(requests)}


def test_two_outbounds_at_one_port_are_not_dealt_connections_in_turn(machine: Machine) -> None:
    port = free_port()
    machine.cp.apply(instance(machine, "ledger-1", "ledger"), instance(machine, "shop-1", "shop"))
    machine.cp.apply(client("first", outbound(f":{port}", "ledger")))
    machine.cp.apply(client("second", outbound(f":{port}", "shop")))
    for name in ("ledger-1", "shop-1", "first"):
        machine.sidecar(name)
    eventually(lambda: fetch(port))
    second = machine.sidecar("second")
    assert rejection(machine, "second").endswith(f"cannot bind '127.0.0.1:{port}': {TAKEN}\n")
    assert answers(port) == {"ledger-1"}
    assert len(second.listeners()) == 1, "its other listener is there"


def test_two_inbounds_at_one_port_do_not_answer_for_each_other(machine: Machine) -> None:
    port, called = free_port(), free_port()
    documents = [
        dataplane(name, inbound(f"127.0.0.1:{port}:{machine.service(name)}", name.rstrip("-1")))
        for name in ("ledger-1", "shop-1")
    ]
    machine.cp.apply(*documents, client("web", outbound(f":{called}", "ledger")))
    machine.sidecar("ledger-1")
    machine.sidecar("web")
    eventually(lambda: fetch(called))
    machine.sidecar("shop-1")
    assert TAKEN in rejection(machine, "shop-1")
    assert answers(called) == {"ledger-1"}


def test_metrics_at_one_port_are_those_of_one_proxy_until_a_dataplane_has_a_port_of_its_own(
    machine: Machine,
) -> None:
    port, own = free_port(), free_port()
    machine.cp.apply(measured(port), client("first"), second := client("second"))
    machine.sidecar("first")
    eventually(lambda: lists_statistics(port))
    machine.sidecar("second")
    assert f"cannot bind '0.0.0.0:{port}': {TAKEN}" in rejection(machine, "second")
    machine.cp.apply({**second, "metrics": {"prometheus": {"port": own}}})
    eventually(lambda: lists_statistics(own))
    assert listeners_of(machine, "second")["rejection"] == ""


def test_a_listener_of_an_older_control_plane_says_that_kuma_dp_must_be_restarted(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started with Envoy's default; Envoy cannot change that while the listener runs."""
    made = common.listener

    def as_before(*args: Any, **kwargs: Any) -> Any:
        message = made(*args, **kwargs)
        message.enable_reuse_port = None
        return message

    port = free_port()
    monkeypatch.setattr(common, "listener", as_before)
    machine.cp.apply(instance(machine, "ledger-1", "ledger"), instance(machine, "shop-1", "shop"))
    machine.cp.apply(web := client("web", outbound(f":{port}", "ledger")))
    for name in ("ledger-1", "shop-1", "web"):
        machine.sidecar(name)
    eventually(lambda: fetch(port))
    monkeypatch.undo()
    web["networking"]["outbound"][0]["service"] = "shop"
    machine.cp.apply(web)
    found = eventually(lambda: (state := listeners_of(machine, "web"))["rejection"] and state)
    assert "reuse port cannot be changed during an update" in found["rejection"]
    assert "restart kuma-dp of this dataplane" in found["hint"]
    assert answers(port, 5) == {"ledger-1"}


def test_the_admin_api_is_not_where_the_service_is_called(machine: Machine) -> None:
    low, high = adjacent_ports()
    machine.cp.apply(instance(machine, "ledger-1", "ledger"), client("web", outbound(f":{low}", "ledger")))
    machine.sidecar("ledger-1")
    refused = machine.sidecar("web", wait=False, admin=(str(low), low))
    assert refused.process.wait(30) == 1
    [line] = refused.log.read_text().splitlines()
    assert line.startswith("Error: failed to generate Envoy bootstrap config: ")
    assert f"adminPort: {low} cannot be the port of Envoy's admin API, for the proxy listens at" in line
    web = machine.sidecar("web", admin=(f"{low}-{high}", high))
    assert eventually(lambda: fetch(low)) == "ledger-1"
    assert web.is_live()


def adjacent_ports() -> tuple[int, int]:
    """Two free ports, one behind the other."""
    while True:
        port = free_port()
        if free_port() == port + 1:
            return port, port + 1
