"""The guides on closing a mesh and on the remote admin server: their commands are executed, their table is compared."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from kuma_core.builtin.configuration.settings import SETTINGS
from kuma_core.testing.waiting import eventually

from .. import needs
from ..conformance.support import Shell
from ..namespaces import network_namespace, two_machines
from ..security.test_tls_versions import ENCRYPTED, PLAIN

ROOT = Path(__file__).parents[2]
SECURE = (ROOT / "docs/how-to/secure.md").read_text()
REMOTE = (ROOT / "docs/how-to/remote-admin.md").read_text()
ROW = re.compile(r"^\| (\d+|none) \| `([\w.]+)` \| (.*?) \|", re.MULTILINE)


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


# -- closing a mesh


def test_the_table_names_every_listener_with_its_port_and_whether_it_speaks_tls() -> None:
    rows = {key: (port, who) for port, key, who in ROW.findall(SECURE)}
    assert rows.keys() == {*ENCRYPTED, *PLAIN}
    defaults = {setting.path: setting.default for setting in SETTINGS}
    for key, (port, who) in rows.items():
        assert port == str(defaults[key] or "none")
        assert who.startswith("TLS: ") is (key in ENCRYPTED)


def test_the_kernel_takes_the_rules_for_addresses(tmp_path: Path) -> None:
    """They name ports that there are, and the diagnostics and events by themselves."""
    needs.program("nft", "nftables")
    (rules,) = blocks(SECURE, "nft")
    (tmp_path / "kuma-cp.nft").write_text(rules)
    with network_namespace() as inside:
        command = [*inside, "nft", "-f", str(tmp_path / "kuma-cp.nft")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    named = {
        int(port) for ports in re.findall(r"dport (\{.*?\}|\d+)", rules) for port in re.findall(r"\d+", ports)
    }
    known = {int(port) for port, _, _ in ROW.findall(SECURE) if port != "none"}
    assert named == known - {5679}


def test_the_bounds_of_the_service_are_those_of_its_unit() -> None:
    (bounds,) = blocks(SECURE, "ini")
    (files,) = re.findall(r"^LimitNOFILE=.*$", bounds, re.MULTILINE)
    assert files in (ROOT / "packaging/systemd/kuma-cp.service").read_text()


def test_the_command_that_tells_who_is_connected() -> None:
    needs.program("ss", "iproute2")
    (command,) = blocks(SECURE, "bash")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0]:
            asked = ["bash", "-c", command.replace("5678", str(port))]
            said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout
            assert said.strip() == f"127.0.0.1:{client.getsockname()[1]}"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Shell]:
    with network_namespace() as inside, ExitStack() as stack:
        shell = Shell(tmp_path, stack, inside)
        shell.control_plane()
        yield shell


def test_the_commands_that_close_a_mesh_work_as_they_stand(machine: Shell) -> None:
    for name, text in zip(("permissions.yaml", "mesh.yaml"), blocks(SECURE, "yaml"), strict=True):
        assert f"`{name}`" in SECURE
        (machine.home / name).write_text(text)
    commands = re.findall(r"^\$ (.*)$", SECURE, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        machine.good(command)
    assert (machine.home / "web-1-token").read_text().count(".") == 2
    assert machine.good("kumactl get meshes").splitlines()[1].split()[:3] == ["default", "on", "builtin"]
    assert "web-to-echo" in machine.good("kumactl get traffic-permissions")


# -- the remote admin server


def test_the_commands_for_another_machine_work_as_they_stand(tmp_path: Path) -> None:
    (configuration,) = blocks(REMOTE, "yaml")
    host = yaml.safe_load(configuration)["general"]["advertisedHostname"]
    commands = re.findall(r"^(cp|op)\$ (.*)$", REMOTE, re.MULTILINE)
    assert len(commands) == 9
    for name in ("cp", "op"):
        (tmp_path / name).mkdir()
    with two_machines(tmp_path, host) as (near, far), ExitStack() as stack:
        shells = {"cp": Shell(tmp_path / "cp", stack, near), "op": Shell(tmp_path / "op", stack, far)}
        cp, op = shells["cp"], shells["op"]
        (cp.home / "kuma-cp.yaml").write_text(configuration)
        for where, command in commands:
            if command.startswith("kuma-cp run"):
                cp.control_plane(command)
                continue
            if command.startswith("cp operator.pem"):
                (cp.home / "operator.pem").write_bytes((op.home / "operator.pem").read_bytes())
            if "--admin-ca-cert=server.pem" in command:
                (op.home / "server.pem").write_bytes((cp.home / "server.pem").read_bytes())
            shells[where].good(command)
        assert (op.home / "web-1-token").read_text().count(".") == 2
        refusals(op, host)


def refusals(op: Shell, host: str) -> None:
    """What the table of the page says that one sees."""
    add = f"kumactl config control-planes add --address=http://{host}:5681"
    token, sentences = "kumactl generate dataplane-token --dataplane=web-1", table(REMOTE)
    op.good(f"{add} --name=bare")
    assert any(said in op.run(token).stderr for said in sentences)
    op.good("kumactl generate tls-certificate --type=client --cert-file=x.pem --key-file=x-key.pem")
    op.good(f"{add} --name=stranger --admin-client-cert=x.pem --admin-client-key=x-key.pem")
    assert op.run(token).returncode == 1


def table(page: str) -> list[str]:
    """The first column of a table, where it is a text that a program writes."""
    return re.findall(r"^\| `(.*?)` \|", page, re.MULTILINE)


def test_a_control_plane_without_the_public_server_says_so(tmp_path: Path) -> None:
    for name in ("cp", "op"):
        (tmp_path / name).mkdir()
    with two_machines(tmp_path, "cp.example.com") as (near, far), ExitStack() as stack:
        cp, op = Shell(tmp_path / "cp", stack, near), Shell(tmp_path / "op", stack, far)
        cp.control_plane()
        op.good("kumactl config control-planes add --name=cp --address=http://cp.example.com:5681")
        refused = op.run("kumactl generate dataplane-token --dataplane=web-1")
        assert (refused.returncode, "is not open to other machines: it has no TLS" in refused.stderr) == (
            1,
            True,
        )
        catalog = eventually(lambda: op.good("curl -sf http://cp.example.com:5681/catalog"))
        assert json.loads(catalog)["apis"]["admin"]["publicUrl"] == ""
