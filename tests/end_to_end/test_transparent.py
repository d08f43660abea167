"""Transparent proxying with real iptables, in a network namespace (scenario 21)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.waiting import eventually

from .. import needs
from ..namespaces import network_namespace
from .inside import APPLICATION, Inside

REDIRECT, LEDGER, WEB, CALL, DIRECT = 15001, 7002, 7003, 7100, 8003
"""The ports: of catch_all, of the two inbounds, of web's outbound, and of web's service itself."""


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    needs.program("iptables", "iptables")
    with network_namespace() as words, ExitStack() as stack:
        machine = Inside(words, tmp_path, stack)
        rule = f"-p tcp -m owner --uid-owner {APPLICATION} -j REDIRECT --to-ports {REDIRECT}"
        result = machine.run("iptables", "-t", "nat", "-A", "OUTPUT", *rule.split())
        if result.returncode:
            needs.missing("iptables", f"iptables cannot redirect here: {result.stderr.strip()}")
        yield machine


def begin(machine: Inside) -> None:
    """A ledger with a plain sidecar, and a web whose sidecar is transparent and calls the ledger.

    Both services and both Envoys are ready afterwards, and no connection went through an Envoy yet: the test counts.
    """
    machine.start(
        "kuma-cp", "run", KUMA_PLUGINS="store_memory", KUMA_ADMIN_SERVER_APIS_DATAPLANE_TOKEN_ENABLED="false"
    )
    eventually(lambda: machine.fetch(5680, 0, "/ready").startswith("HTTP/1.1 200"), 60, "the control plane")
    web = dataplane(
        "web",
        inbound(f"127.0.0.1:{WEB}:{DIRECT}", "web"),
        outbounds=[outbound(f":{CALL}", "ledger")],
    )
    web["networking"]["transparentProxying"] = {"redirectPort": REDIRECT}
    machine.apply(dataplane("ledger", inbound(f"127.0.0.1:{LEDGER}:8002", "ledger")))
    machine.apply(web)
    for name, port, admin in (("ledger", 8002, 9902), ("web", DIRECT, 9901)):
        machine.start("kuma-tcp-echo", f"-port={port}", "-interface=127.0.0.1", f"-name={name}")
        machine.start("kuma-dp", "run", f"--name={name}", f"--admin-port={admin}")
    for port in (8002, DIRECT):
        eventually(lambda port=port: "X-Instance" in machine.fetch(port, 0), 30, f"the service at {port}")
    for port in (9901, 9902):
        eventually(lambda port=port: "LIVE" in machine.fetch(port, 0, "/ready"), 30, f"the Envoy of {port}")
    eventually(
        lambda: machine.stat("cluster.ledger.membership_total") == 1, 30, "the ledger, as web calls it"
    )


def test_scenario_21_redirected_connections_reach_the_listener_that_they_were_meant_for(inside):
    begin(inside)
    with pytest.raises(AssertionError, match="Connection refused"):
        inside.fetch(WEB, user=0)  # the inbound is not bound
    assert "X-Instance: web" in inside.fetch(WEB)
    assert inside.stat(f"cluster.localhost_{DIRECT}.upstream_cx_total") == 1
    assert "X-Instance: ledger" in inside.fetch(CALL)
    assert inside.stat("cluster.ledger.upstream_cx_total") == 1
    assert inside.stat("cluster.pass_through.upstream_cx_total") == 0
    assert "X-Instance: web" in inside.fetch(DIRECT)
    assert inside.stat("cluster.pass_through.upstream_cx_total") == 1, "no listener: it passes through"
    assert inside.stat("listener_manager.lds.update_rejected") == 0
    assert inside.stat("cluster_manager.cds.update_rejected") == 0
