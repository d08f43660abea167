"""The newcomer's walkthrough with PostgreSQL, which outlives control planes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.waiting import eventually
from plugins.store_postgres.tests.server import PASSWORD, USER, OwnServer, own_server, psql

from ..end_to_end.support import end
from ..namespaces import network_namespace
from .support import Shell

ECHO = dataplane("dp-echo-1", inbound("127.0.0.1:10000:9000", "echo"))
CREATE = """
CREATE ROLE kuma LOGIN PASSWORD 'kuma-password';
CREATE DATABASE kuma OWNER kuma ENCODING 'UTF8' TEMPLATE template0;
"""


@pytest.fixture
def server() -> Iterator[OwnServer]:
    with own_server() as running:
        if not running.socket:
            pytest.skip("the folder of temporary files has a name that is too long for a socket: set TMPDIR")
        yield running


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with network_namespace() as inside, ExitStack() as stack:
        yield Shell(tmp_path, stack, inside)


def test_everything_outlives_the_control_plane(shell: Shell, server: OwnServer) -> None:
    """Dataplanes, the authority and tokens survive ``kill -9`` of kuma-cp; a sidecar comes back to the next one."""
    client = f"{psql()} -q -v ON_ERROR_STOP=1 -h {server.socket} -p {server.port}"
    shell.good(f"PGPASSWORD='{PASSWORD}' {client} -U {USER} postgres", CREATE)
    shell.good(f"kumactl install database-schema | PGPASSWORD=kuma-password {client} -U kuma kuma")
    where = f"KUMA_STORE_POSTGRES_HOST={server.socket} KUMA_STORE_POSTGRES_PORT={server.port}"
    who = "KUMA_STORE_POSTGRES_USER=kuma KUMA_STORE_POSTGRES_PASSWORD=kuma-password"
    line = f"KUMA_STORE_TYPE=postgres {where} {who} KUMA_STORE_POSTGRES_DB_NAME=kuma kuma-cp run"
    control_plane = shell.control_plane(line)

    shell.good("kumactl apply -f -", yaml.safe_dump(ECHO))
    encrypted = mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}})
    shell.good("kumactl apply -f -", yaml.safe_dump(encrypted))
    shell.good("kumactl generate dataplane-token --dataplane=dp-echo-1 > kuma-dp-echo-1")
    flags = "--admin-port=9901 --dataplane-token-file=kuma-dp-echo-1"
    shell.start(f"kuma-dp run --name=dp-echo-1 --cp-address=http://127.0.0.1:5681 {flags}")
    eventually(lambda: _is_online(shell), 60, "dp-echo-1 online")
    before = [shell.good(f"kumactl get {what} -o yaml") for what in ("meshes", "dataplanes")]
    root = eventually(lambda: _root(shell), 60, "an identity")

    control_plane.kill()
    control_plane.wait(timeout=10)
    control_plane = shell.control_plane(line)
    assert [shell.good(f"kumactl get {what} -o yaml") for what in ("meshes", "dataplanes")] == before
    eventually(lambda: _is_online(shell), 30, "dp-echo-1 online, with the token of before")
    assert _root(shell) == root
    other = shell.start(f"kuma-dp run --name=dp-echo-1 --cp-address=http://127.0.0.1:5681 {flags[18:]}")[0]
    eventually(lambda: _streams(shell) == 2, 60, "a second sidecar with the token of before")
    end(other)
    end(control_plane)
    assert control_plane.returncode == 0


def _insight(shell: Shell) -> list[dict[str, object]]:
    path = "http://127.0.0.1:5681/meshes/default/dataplanes+insights/dp-echo-1"
    insight = json.loads(shell.good(f"curl -sf {path}"))["dataplaneInsight"]
    found: list[dict[str, object]] = insight.get("subscriptions", [])
    return found


def _streams(shell: Shell) -> int:
    """How many streams of the dataplane are open."""
    return sum("disconnectTime" not in item for item in _insight(shell))


def _is_online(shell: Shell) -> bool:
    return " Online " in shell.good("kumactl inspect dataplanes")


def _root(shell: Shell) -> str:
    """The serial number of the authority that Envoy trusts; empty as long as it has none."""
    found = json.loads(shell.good("curl -s http://127.0.0.1:9901/certs"))["certificates"]
    serials = [root["serial_number"] for item in found for root in item["ca_cert"]]
    return serials[0] if serials else ""
