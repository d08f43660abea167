"""What happens to real Envoys is told on both of two control planes over one database, within three seconds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_postgres
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.events_client import Follower, Told, following
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from tests.end_to_end.support import Machine, Sidecar

from .server import Server

PLUGINS = [kuma_store_postgres, kuma_policy_traffic, kuma_ca_builtin]
WITHIN = 3.0
PERMISSION = {
    "type": "TrafficPermission",
    "mesh": "default",
    "name": "everybody",
    "sources": [{"match": {"service": "*"}}],
    "destinations": [{"match": {"service": "*"}}],
}


@dataclass(frozen=True, slots=True)
class World:
    """Two control planes, a client of the events of each, and an Envoy at the first of them."""

    one: RunningPlatform
    two: RunningPlatform
    clients: tuple[Follower, Follower]
    web: Sidecar
    machine: Machine

    def told(self, type: str, seconds: float = WITHIN, **members: str) -> list[Told]:
        """The same event from both, each within so many seconds."""
        return [client.wait_for(type, seconds, **members) for client in self.clients]


@pytest.fixture(scope="module")
def world(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("events")
    with ExitStack() as stack:
        database = stack.enter_context(server.database(server.template))
        settings = {**server.environ(database), "KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1"}
        one, two = [stack.enter_context(running_platform(PLUGINS, settings)) for _ in range(2)]
        clients = [stack.enter_context(following(cp, "mesh=default")) for cp in (one, two)]
        machine = Machine(one, folder, stack)
        one.apply(_web(machine.service("web")))
        web = machine.sidecar("web-1")
        yield World(one, two, (clients[0], clients[1]), web, machine)


def _web(port: int, name: str = "web-1") -> dict[str, Any]:
    return dict(dataplane(name, inbound(f"127.0.0.1:{free_port()}:{port}", "web")))


def test_a_proxy_that_came_is_online_on_both(world: World) -> None:
    first, second = world.told("status", name="web-1", state="Online")
    assert first.data == second.data


def test_a_permission_that_is_applied_is_told_with_its_version(world: World) -> None:
    world.two.apply(PERMISSION)
    first, second = world.told("resource", kind="TrafficPermission", op="put", name="everybody")
    assert first.data == second.data
    assert first.data["version"].isdigit()


def test_a_service_that_is_stopped_and_its_dataplane_deleted_is_told(world: World) -> None:
    """Its kuma-dp ends in an orderly way; then somebody deletes the Dataplane."""
    world.machine.drain_seconds = 1
    world.one.apply(_web(world.machine.service("web"), "web-2"))
    stopped = world.machine.sidecar("web-2")
    world.told("status", name="web-2", state="Online")
    stopped.process.send_signal(signal.SIGTERM)
    stopped.process.wait(timeout=20)
    world.told("status", name="web-2", state="Offline")
    assert world.one.delete("/meshes/default/dataplanes/web-2").status == 200
    world.told("resource", kind="Dataplane", op="delete", name="web-2")


def test_a_sidecar_that_is_killed_is_told(world: World) -> None:
    """The last test of the file: it ends the Envoy of the others."""
    children = (
        Path(f"/proc/{world.web.process.pid}/task/{world.web.process.pid}/children").read_text().split()
    )
    for pid in (world.web.process.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    first, second = world.told("status", name="web-1", state="Offline")
    assert first.data == second.data
    status = world.two.get("/meshes/default/dataplanes+insights/web-1").body["status"]
    assert status["state"] == "Offline"
