"""An instance joins and leaves under load, and nobody who calls its service notices.

Each takes a moment: a third instance is applied before its sidecar is started, as every operator does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Load, Machine, Sidecar, end, fetch

EVERYBODY = [{"match": {"service": "*"}}]
REQUESTS_A_SECOND = 80
"""One after the other, so that some 70 come about."""
SETTINGS = {"KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}


@contextmanager
def mesh(folder: Path, encrypted: bool = False, **settings: str) -> Iterator[tuple[Machine, int, Sidecar]]:
    """Two instances of a service and somebody who calls it: the machine, the port to call, the second instance."""
    plugins = [kuma_store_memory, kuma_ca_builtin, kuma_policy_traffic]
    with running_platform(plugins, {**SETTINGS, **settings}) as cp, ExitStack() as stack:
        machine, port = Machine(cp, folder, stack), free_port()
        if encrypted:
            cp.apply(
                {"type": "Mesh", "name": "default", "mtls": {"enabled": True, "ca": {"builtin": {}}}},
                {
                    "type": "TrafficPermission",
                    "name": "everyone",
                    "mesh": "default",
                    "sources": EVERYBODY,
                    "destinations": EVERYBODY,
                },
            )
        caller = dataplane("web", gateway={"service": "web"}, outbounds=[outbound(f":{port}", "echo")])
        machine.cp.apply(instance(machine, 1), instance(machine, 2), caller)
        machine.sidecar("echo-1")
        second = machine.sidecar("echo-2")
        machine.sidecar("web")
        seen: set[str] = set()
        eventually(lambda: seen.add(fetch(port)) or len(seen) == 2)
        yield machine, port, second


def instance(machine: Machine, number: int) -> dict[str, object]:
    name = f"echo-{number}"
    return dataplane(name, inbound(f"127.0.0.1:{free_port()}:{machine.service(name)}", "echo"))


def come_and_go(machine: Machine, port: int) -> Load:
    """A third instance joins and leaves; what became of the requests meanwhile."""
    with Load(port, 1 / REQUESTS_A_SECOND) as load:
        eventually(lambda: load.answers.total() > 10)
        machine.cp.apply(instance(machine, 3))
        machine.cp.catch_up()
        counted = load.answers.total() + len(load.failures)
        eventually(lambda: load.answers.total() + len(load.failures) > counted + 10)
        third = machine.sidecar("echo-3")
        eventually(lambda: load.answers["echo-3"] > 10)
        end(third.process)
        counted = load.answers.total() + len(load.failures)
        eventually(lambda: load.answers.total() + len(load.failures) > counted + 10)
    return load


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_third_instance_joins_and_leaves_and_no_request_fails(tmp_path: Path, encrypted: bool) -> None:
    with mesh(tmp_path, encrypted) as (machine, port, _):
        assert come_and_go(machine, port).failures == []


def test_requests_fail_where_every_dataplane_is_an_endpoint_at_once(tmp_path: Path) -> None:
    """As in the reference: the load of the tests above would show it."""
    with mesh(tmp_path, KUMA_XDS_SERVER_ENDPOINTS="registered") as (machine, port, _):
        assert come_and_go(machine, port).failures


def test_one_that_is_killed_is_called_on_until_it_is_back(tmp_path: Path) -> None:
    """Nobody can tell it from one whose control plane is away; health checks find it."""
    with mesh(tmp_path) as (machine, port, second):
        second.process.kill()
        second.process.wait(timeout=30)
        eventually(lambda: _fails(port))
        assert (
            machine.cp.get("/meshes/default/dataplanes+insights/echo-2").body["presence"]["state"]
            == "Serving"
        )
        machine.sidecar("echo-2")
        eventually(lambda: {fetch(port) for _ in range(10)} == {"echo-1", "echo-2"})


def _fails(port: int) -> bool:
    try:
        fetch(port)
    except OSError:
        return True
    return False
