"""Restarts in an orderly way, and starts at the same moment."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import OwnServer

from ..end_to_end.support import BIN, Machine, start
from .support import BACK_SECONDS, READY_SECONDS, ControlPlane, SteadyLoad

NAMES = ("echo-1", "web")


def test_scenario_50_a_restart_of_the_control_plane_during_traffic(
    cp: ControlPlane, stack: ExitStack, tmp_path: Path
) -> None:
    """Open connections go on, no request fails; the insight tells of two streams, the first of them closed."""
    port, workload = free_port(), free_port()
    start([str(BIN / "kuma-tcp-echo"), "-port", str(workload)], tmp_path / "echo.log", stack)
    cp.apply(
        dataplane("echo-1", inbound(f"127.0.0.1:{free_port()}:{workload}", "echo")),
        dataplane(
            "web",
            inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web"),
            outbounds=[outbound(f":{port}", "echo")],
        ),
    )
    machine = Machine(None, tmp_path, stack)
    for name in NAMES:
        machine.sidecar(name, api_url=cp.url)
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
    assert _echoed(connection, b"before\n")
    with SteadyLoad(port, 50) as load:
        eventually(lambda: _streams(cp) == [1, 1])
        assert cp.stop() == 0
        assert _echoed(connection, b"without\n")
        cp.start()
        eventually(lambda: _streams(cp) == [2, 2], BACK_SECONDS, "a second stream of each")
        seen = load.count
        eventually(lambda: load.count > seen + 50)
        assert _echoed(connection, b"after\n")
    assert load.failures == []
    for name in NAMES:
        first, second = cp.subscriptions(name)
        assert first["connectTime"] < first["disconnectTime"] < second["connectTime"]
        assert "disconnectTime" not in second
        assert first["controlPlaneInstanceId"] != second["controlPlaneInstanceId"]


def _streams(cp: ControlPlane) -> list[int]:
    """How many streams each insight tells of; none if the last of them is closed."""
    return [len(cp.subscriptions(name)) if cp.is_online(name) else 0 for name in NAMES]


def _echoed(connection: socket.socket, line: bytes) -> bool:
    """Whether a line comes back on a connection that is open."""
    connection.sendall(line)
    return connection.recv(len(line), socket.MSG_WAITALL) == line


ENCRYPTED = "type: Mesh\nname: default\nmtls:\n  enabled: true\n  ca:\n    builtin: {}\n"


@pytest.mark.parametrize(("count", "rounds"), [(2, 1), pytest.param(4, 10, marks=pytest.mark.chaos)])
def test_control_planes_that_start_at_once_on_an_empty_database(
    server: OwnServer, stack: ExitStack, tmp_path: Path, count: int, rounds: int
) -> None:
    """Each migrates first, as an operator's script would; all come up, and made each secret once."""
    for _ in range(rounds):
        with server.database() as empty, ExitStack() as inner:
            environ = {**server.environ(empty), "KUMA_DEFAULTS_MESH": ENCRYPTED}
            cps = [ControlPlane(tmp_path, inner, environ) for _ in range(count)]
            for cp in cps:
                cp.start(wait=False, before=f"{BIN / 'kuma-cp'} migrate up")
            for cp in cps:
                eventually(cp.is_ready, 2 * READY_SECONDS, "a ready control plane")
            cps[0].apply(dataplane("echo-1", inbound("127.0.0.1:9:10", "echo")))
            for cp in cps:
                eventually(lambda cp=cp: cp.request("GET", "/meshes/default/dataplanes/echo-1").status == 200)  # type: ignore[misc]
            assert _secrets(server, empty) == [
                "builtinca.default",
                "control-plane-tls",
                "dataplane-token-signing-key",
            ]


def _secrets(server: OwnServer, database: str) -> list[str]:
    """The names of all secrets, sorted."""
    query = b"SELECT name FROM resources WHERE type = 'Secret' ORDER BY name"
    with server.connect(database) as connection:
        return [row[0] for row in connection.execute(query)]
