"""The newcomer's walkthrough, step by step, with the real programs on their well-known ports.

The walk with PostgreSQL is in test_walkthrough_postgres.py, what it says of the GUI in test_walkthrough_gui.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import end
from ..namespaces import network_namespace, two_machines
from .support import BIN, Shell, dataplane_token

API = "http://127.0.0.1:5681"
ECHO = dataplane("dp-echo-1", inbound("127.0.0.1:10000:9000", "echo"))
WEB = dataplane("dp-web-1", inbound("127.0.0.1:10001:9001", "web"), outbounds=[outbound(":20000", "echo")])
PERMISSION = {
    "type": "TrafficPermission",
    "mesh": "default",
    "name": "web-to-echo",
    "sources": [{"match": {"service": "web"}}],
    "destinations": [{"match": {"service": "echo"}}],
}
EVERYBODY = [{"match": {"service": "*"}}]
HEADER = [
    *("MESH", "NAME", "TAGS", "STATUS", "LAST", "CONNECTED", "AGO", "LAST", "UPDATED", "AGO"),
    *("TOTAL", "UPDATES", "TOTAL", "ERRORS"),
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The first steps: the programs, a control plane and the service echo."""
    assert {"envoy", "kuma-cp", "kuma-dp", "kuma-tcp-echo", "kumactl"} <= {
        path.name for path in BIN.iterdir()
    }
    with network_namespace() as inside, ExitStack() as stack:
        shell = Shell(tmp_path_factory.mktemp("home"), stack, inside)
        shell.control_plane()
        shell.start("kuma-tcp-echo -port 9000")
        eventually(lambda: shell.good("curl -s http://127.0.0.1:9000"), what="the service")
        yield shell


@pytest.fixture
def newcomer(machine: Shell) -> Iterator[Newcomer]:
    """Somebody at that machine, which is as before when they leave."""
    user = Newcomer(machine)
    yield user
    for process in user.sidecars:
        end(process)
    for what in ("dataplane dp-echo-1", "dataplane dp-web-1", "traffic-permission web-to-echo"):
        machine.run(f"kumactl delete {what}")
    user.apply(mesh("default"))


class Newcomer:
    """Somebody who types what the walkthrough says."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.sidecars: list[subprocess.Popen[bytes]] = []

    def apply(self, resource: dict[str, Any]) -> str:
        return self.shell.good("kumactl apply -f -", yaml.safe_dump(resource))

    def sidecar(self, name: str) -> subprocess.Popen[bytes]:
        """The token, if tokens are asked for, and the program."""
        token = dataplane_token(self.shell, name)
        line = f"kuma-dp run --name={name} --mesh=default --cp-address={API} {token}"
        self.sidecars.append(self.shell.start(line)[0])
        eventually(lambda: self.row(name)[3:4] == ["Online"], 60, f"{name} online")
        return self.sidecars[-1]

    def row(self, name: str) -> list[str]:
        """The words of a dataplane's line in ``kumactl inspect dataplanes``."""
        header, *rows = [line.split() for line in self.shell.good("kumactl inspect dataplanes").splitlines()]
        assert header == HEADER
        return next(row for row in rows if row[1] == name)

    def call(self, port: int) -> str:
        """What ``curl`` shows; ``""`` when the call fails."""
        return self.shell.run(f"curl -s --max-time 5 http://127.0.0.1:{port}").stdout

    def answers(self, port: int) -> bool:
        """Whether the service echo answers a call of that port."""
        return self.call(port).startswith("GET / HTTP/1.1")

    def refused(self, line: str) -> str:
        """What a line that must fail says."""
        done = self.shell.run(line)
        assert done.returncode == 1, line
        return done.stderr


def test_a_control_plane_a_service_and_its_dataplane(newcomer: Newcomer) -> None:
    shell = newcomer.shell
    index = json.loads(shell.good("curl -s localhost:5681/"))
    assert (index["tagline"], set(index)) == ("Kuma", {"tagline", "version"})
    assert shell.good("curl -s -o /dev/null -w '%{http_code}' localhost:5680/healthy") == "200"
    assert newcomer.call(9000).startswith("GET / HTTP/1.1")
    assert shell.good("exec 3<>/dev/tcp/127.0.0.1/9000; echo hello >&3; head -n 1 <&3") == "hello\n"
    assert newcomer.apply(ECHO) == 'created Dataplane "dp-echo-1"\n'
    assert (shell.home / ".kumactl/config").exists()


def test_sidecars_carry_calls_and_are_shown(newcomer: Newcomer) -> None:
    newcomer.apply(ECHO)
    newcomer.sidecar("dp-echo-1")
    answer = eventually(lambda: newcomer.call(10000), 60, "an answer through the sidecar")
    assert answer.splitlines()[0] == "GET / HTTP/1.1"
    assert "host: 127.0.0.1:10000" in answer.lower()

    meshes = newcomer.shell.good("kumactl get meshes").splitlines()
    assert meshes[1].split()[:2] == ["default", "off"]
    dataplanes = newcomer.shell.good("kumactl get dataplanes").splitlines()
    assert [line.split() for line in dataplanes] == [
        ["MESH", "NAME", "TAGS"],
        ["default", "dp-echo-1", "service=echo"],
    ]
    eventually(lambda: int(newcomer.row("dp-echo-1")[-2]) > 0, what="updates that were counted")
    assert newcomer.row("dp-echo-1")[-1] == "0"

    newcomer.apply(WEB)
    newcomer.sidecar("dp-web-1")
    eventually(lambda: newcomer.answers(20000), 60, "an answer through the mesh")
    assert newcomer.row("dp-echo-1")[3] == "Online"


def test_a_sidecar_without_its_dataplane_is_told_to_apply_it(newcomer: Newcomer) -> None:
    token = dataplane_token(newcomer.shell, "dp-echo-1")
    said = newcomer.refused(f"kuma-dp run --name=dp-echo-1 --cp-address={API} {token}")
    assert "kumactl apply" in said


def test_a_sidecar_without_a_token_is_told_how_to_get_one(newcomer: Newcomer) -> None:
    newcomer.apply(ECHO)
    said = newcomer.refused(f"kuma-dp run --name=dp-echo-1 --cp-address={API}")
    assert "kumactl generate dataplane-token" in said
    assert "--dataplane-token-file" in said


def test_mutual_tls_and_a_permission(newcomer: Newcomer) -> None:
    """mTLS: closed to everyone, opened by a permission, closed again without it, and off."""
    for resource in (ECHO, WEB):
        newcomer.apply(resource)
        newcomer.sidecar(resource["name"])
    eventually(lambda: newcomer.answers(10000) and newcomer.answers(20000), 60, "answers without mTLS")
    encrypted = mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}})
    newcomer.apply(encrypted)
    assert newcomer.shell.good("kumactl get meshes").splitlines()[1].split()[:3] == [
        "default",
        "on",
        "builtin",
    ]
    eventually(lambda: not newcomer.answers(10000), 60, "plain text refused")
    eventually(lambda: not newcomer.answers(20000), 60, "denied by default")
    newcomer.apply(PERMISSION)
    eventually(lambda: newcomer.answers(20000), 60, "what is permitted")
    assert not newcomer.answers(10000)
    deleted = newcomer.shell.good("kumactl delete traffic-permission web-to-echo")
    assert deleted == 'deleted TrafficPermission "web-to-echo"\n'
    eventually(lambda: not newcomer.answers(20000), 60, "denied again")
    newcomer.apply({**PERMISSION, "sources": EVERYBODY, "destinations": EVERYBODY})
    eventually(lambda: newcomer.answers(20000), 60, "everything permitted")
    newcomer.apply(mesh("default"))
    eventually(lambda: newcomer.answers(10000), 60, "plain text again")


def test_kumactl_learns_another_name_of_the_control_plane(newcomer: Newcomer) -> None:
    added = newcomer.shell.good(f"kumactl config control-planes add --name=XYZ --address={API}")
    assert added == 'added Control Plane "XYZ"\nswitched active Control Plane to "XYZ"\n'
    rows = [line.split() for line in newcomer.shell.good("kumactl config control-planes list").splitlines()]
    assert ["*", "XYZ", API] in rows


def test_a_sidecar_that_ends_is_offline(newcomer: Newcomer) -> None:
    """Ctrl-C on kuma-dp: the dataplane is shown as offline within seconds."""
    newcomer.apply(ECHO)
    process = newcomer.sidecar("dp-echo-1")
    process.terminate()
    assert process.wait(timeout=20) == 0
    eventually(lambda: newcomer.row("dp-echo-1")[3] == "Offline", what="offline")


HOST = "cp.example.com"


def test_tokens_from_another_machine(tmp_path: Path) -> None:
    """The other machine is a network namespace with a cable to that of the control plane."""
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
    with two_machines(tmp_path, HOST) as (inside, beyond), ExitStack() as stack:
        near, far = Shell(tmp_path / "near", stack, inside), Shell(tmp_path / "far", stack, beyond)
        make = "kumactl generate tls-certificate --cert-file={0}.pem --key-file={0}-key.pem --type={0}"
        near.good(make.format("server") + f" --cp-hostname={HOST}")
        far.good(make.format("client"))
        (near.home / "allowed").mkdir()
        (near.home / "allowed/client.pem").write_bytes((far.home / "client.pem").read_bytes())
        public = {
            "ENABLED": "true",
            "INTERFACE": "0.0.0.0",
            "PORT": "5684",
            "TLS_CERT_FILE": "server.pem",
            "TLS_KEY_FILE": "server-key.pem",
            "CLIENT_CERTS_DIR": "allowed",
        }
        settings = " ".join(f"KUMA_ADMIN_SERVER_PUBLIC_{name}={value}" for name, value in public.items())
        near.control_plane(f"{settings} KUMA_GENERAL_ADVERTISED_HOSTNAME={HOST} kuma-cp run")
        add, token = f"kumactl config control-planes add --address=http://{HOST}:5681", "dp-echo-1.token"
        far.good(f"{add} --name=bare")
        refused = far.run("kumactl generate dataplane-token --dataplane=dp-echo-1")
        assert (refused.returncode, "kumactl has no client certificate" in refused.stderr) == (1, True)
        far.good(f"{add} --name=XYZ --admin-client-cert=client.pem --admin-client-key=client-key.pem")
        far.good(f"kumactl generate dataplane-token --dataplane=dp-echo-1 > {token}")
        near.good("kumactl apply -f -", yaml.safe_dump(ECHO))  # from elsewhere others may read alone
        line = f"kuma-dp run --name=dp-echo-1 --cp-address=http://{HOST}:5681 --dataplane-token-file={token}"
        far.start(line)
        eventually(lambda: " Online " in far.good("kumactl inspect dataplanes"), 60, "a remote dataplane")
