"""The Prometheus listener of real Envoys (scenarios 22 and 48)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from envoy_data_plane.envoy.config.cluster.v3 import Cluster

import kuma_store_memory
from kuma_core.testing.builders import dataplane, mesh
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient, SotwClient
from kuma_core.xds.contract import CLUSTER, LISTENER

from .support import Machine, fetch
from .test_protocol import status
from .test_traffic import client

ADMIN = "kuma:envoy:admin"
METRICS = "kuma:metrics:prometheus"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    settings = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
    with running_platform([kuma_store_memory], settings) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


def measured(port: int) -> dict:
    return mesh("default", metrics={"prometheus": {"port": port}})


def lists_statistics(port: int, path: str = "/metrics") -> bool:
    return "# TYPE envoy_cluster_upstream_cx_total counter" in fetch(port, path)


def is_closed(port: int) -> bool:
    try:
        fetch(port)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test_scenario_22_the_statistics_are_served_where_the_mesh_or_the_dataplane_says(machine):
    port, own = free_port(), free_port()
    machine.cp.apply(measured(port), web := client("web"))
    sidecar = machine.sidecar("web")
    assert eventually(lambda: lists_statistics(port))
    with pytest.raises(OSError, match="status 404"):
        fetch(port, "/quitquitquit")
    machine.cp.apply({**web, "metrics": {"prometheus": {"port": own, "path": "/m"}}})
    assert eventually(lambda: lists_statistics(own, "/m"))
    with pytest.raises(OSError, match="status 404"):
        fetch(own, "/metrics")
    assert eventually(lambda: is_closed(port))
    machine.cp.apply(mesh("default"), web)
    eventually(lambda: METRICS not in sidecar.listeners() and ADMIN not in sidecar.clusters())
    assert_accepted(machine)


def assert_accepted(machine: Machine) -> None:
    total = eventually(lambda: status(machine.cp, "web")["total"])
    assert "responsesRejected" not in total, status(machine.cp, "web")


def test_scenario_22_an_inbound_on_the_port_keeps_it(machine):
    web = client("web")
    port = int(web["networking"]["inbound"][0]["interface"].split(":")[1])
    machine.cp.apply(measured(port), web)
    sidecar = machine.sidecar("web")
    assert sidecar.listeners() == {f"inbound:127.0.0.1:{port}"}
    assert_accepted(machine)


def test_scenario_22_a_gateway_is_measured_too(machine):
    port = free_port()
    machine.cp.apply(measured(port), dataplane("edge", gateway={"service": "edge"}))
    machine.sidecar("edge")
    assert eventually(lambda: lists_statistics(port))


@pytest.mark.parametrize("kind", [DeltaClient, SotwClient])
def test_scenario_48_two_streams_of_one_dataplane_each_get_their_own_admin_port(machine, kind):
    machine.cp.apply(measured(free_port()), client("web"))

    def connected(envoys, port: int):
        return envoys.connect(kind("default.web", metadata={"dataplane.admin.port": str(port)})).client

    with fleet(machine.cp) as envoys:
        clients = {port: connected(envoys, port) for port in (9901, 9902)}
        for port, found in clients.items():
            eventually(lambda found=found: METRICS in found.resources[LISTENER])
            assert admin_port(found.resources[CLUSTER][ADMIN]) == port
        counts = {port: len(found.received) for port, found in clients.items()}
        machine.cp.apply(other := client("other"))
        envoys.connect(late := kind("default.other"))
        eventually(lambda: late.resources[LISTENER])
        assert METRICS not in late.resources[LISTENER], "it has no admin port"
        assert {port: len(found.received) for port, found in clients.items()} == counts, "nothing flaps"
        assert other["name"] == "other"


def admin_port(packed: bytes) -> int:
    endpoints = Cluster.parse(packed).load_assignment.endpoints[0].lb_endpoints
    return endpoints[0].endpoint.address.socket_address.port_value
