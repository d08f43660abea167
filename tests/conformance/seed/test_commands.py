"""Every command line of the user's document, as it stands there, except that files are in a home of the test's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from kuma_core import __version__

from ...namespaces import network_namespace
from ..support import DATA, Shell, document

SEED = DATA / "seed"
API = "http://localhost:5681"
PROGRAMS = ("kuma-cp", "kuma-dp", "kumactl", "kuma-tcp-echo", "envoy")


@pytest.fixture
def shell(machine: Shell) -> Iterator[Shell]:
    """The machine, whose control plane is empty again afterwards."""
    yield machine
    for line in ("kumactl delete mesh mesh-1", *_deletions(machine)):
        machine.run(line)


def _deletions(machine: Shell) -> Iterator[str]:
    for item in json.loads(machine.good("kumactl get dataplanes -o json"))["items"]:
        yield f"kumactl delete dataplane {item['name']}"


# -- CLI


@pytest.mark.parametrize("program", PROGRAMS)
def test_h_prints_the_usage(machine: Shell, program: str) -> None:
    """``kuma-cp -h``, and that of every other executable of the bundle."""
    done = machine.run(f"{program} -h")
    said = (done.stdout + done.stderr).lower()
    assert "usage:" in said
    assert program == "envoy" or f"usage: {program} " in said


@pytest.mark.parametrize("program", ["kuma-cp", "kuma-dp", "kumactl"])
def test_version(machine: Shell, program: str) -> None:
    assert machine.good(f"{program} version") == f"{__version__}\n"
    detailed = machine.good(f"{program} version --detailed")
    labels = ("Version:", "Git Tag:", "Git Commit:", "Build Date:")
    assert (
        tuple(line[: len(label)] for line, label in zip(detailed.splitlines(), labels, strict=False))
        == labels
    )
    assert __version__ in detailed.splitlines()[0]


@pytest.mark.parametrize(
    "words",
    [
        *("install", "config", "apply", "get", "inspect", "generate dataplane-token"),
        *("generate tls-certificate", "manage ca", "version"),
    ],
)
def test_kumactl_has_the_listed_commands(machine: Shell, words: str) -> None:
    """``kumactl help`` names it, and explains it."""
    assert f"\n  {words.split()[0]} " in machine.good("kumactl help")
    assert f"Usage: kumactl {words} [OPTIONS]" in machine.good(f"kumactl help {words}")


def test_kumactl_prepares_a_database(machine: Shell) -> None:
    assert "CREATE TABLE IF NOT EXISTS resources" in machine.good("kumactl install database-schema")


def test_kumactl_keeps_its_configuration_at_home(machine: Shell) -> None:
    machine.good("kumactl config view")
    file = yaml.safe_load((machine.home / ".kumactl/config").read_text())
    assert file["controlPlanes"][0]["coordinates"]["apiServer"]["url"] == API


def test_kumactl_adds_a_control_plane_of_another_machine(tmp_path: Path, machine: Shell) -> None:
    """As the Security chapter says: with the client certificate under its name of that time."""
    config = tmp_path / "config"
    config.write_text("")
    kumactl = f"kumactl --config-file {config}"
    machine.good(
        f"{kumactl} config control-planes add --name far --address http://127.0.0.1:5681"
        " --dataplane-token-client-cert cert.pem --dataplane-token-client-key key.pem"
    )
    (context,) = yaml.safe_load(config.read_text())["contexts"]
    assert context["credentials"]["adminApi"] == {"clientCert": "cert.pem", "clientKey": "key.pem"}
    assert machine.good(f"{kumactl} get meshes").startswith("NAME ")


# -- Dataplane Entity


@pytest.mark.parametrize("name", ["redis-1", "backend-1", "web-01"])
def test_a_dataplane_is_registered_with_kumactl(shell: Shell, name: str) -> None:
    text = (SEED / f"{name}.yaml").read_text()
    applied = shell.good(f'echo "{text}" | kumactl apply -f -')
    assert applied == f'created Dataplane "{name}"\n'
    assert yaml.safe_load(shell.good(f"kumactl get dataplane {name} -o yaml")) == yaml.safe_load(text)
    (tags,) = (inbound["tags"] for inbound in yaml.safe_load(text)["networking"]["inbound"])
    rows = [line.split() for line in shell.good("kumactl get dataplanes").splitlines()]
    assert rows == [["MESH", "NAME", "TAGS"], ["default", name, f"service={tags['service']}"]]
    (row,) = shell.good("kumactl inspect dataplanes").splitlines()[1:]
    assert row.split()[:5] == ["default", name, f"service={tags['service']}", "Never", "connected"]


# -- HTTP API


def test_curl_asks_for_the_configuration(machine: Shell) -> None:
    shown = json.loads(machine.good(f"curl -s {API}/config"))
    assert shown["environment"] == "universal"
    assert shown["store"]["postgres"]["password"] == "*****"


@pytest.mark.parametrize(
    ("file", "collection", "resource"),
    [
        ("dataplane.json", "dataplanes", "dataplane"),
        ("healthcheck.json", "health-checks", "health_check"),
        ("proxytemplate.json", "proxytemplates", "proxy_template"),
        ("trafficpermission.json", "traffic-permissions", "traffic_permission"),
        ("trafficlog.json", "traffic-logs", "traffic_log"),
        ("trafficroute.json", "traffic-routes", "traffic_route"),
    ],
)
def test_curl_writes_and_reads(shell: Shell, file: str, collection: str, resource: str) -> None:
    """The lines of each kind: PUT with ``--data @file``, GET of the item and the list, DELETE."""
    body = document(f"seed/{resource}.json")
    shell.good(f'curl -sf -XPUT {API}/meshes/mesh-1 --data \'{{"type": "Mesh", "name": "mesh-1"}}\'')
    (shell.home / file).write_text(json.dumps(body))
    path = f"{API}/meshes/mesh-1/{collection}"
    status = " -s -o /dev/null -w '%{http_code}'"
    put = f"curl -XPUT {path}/{body['name']} --data @{file} -H'content-type: application/json'"
    assert [shell.good(put + status) for _ in range(2)] == ["201", "200"]
    assert json.loads(shell.good(f"curl -s {path}/{body['name']}")) == body
    assert json.loads(shell.good(f"curl -s {path}")) == {"items": [body]}
    assert shell.good(f"curl -XDELETE {path}/{body['name']}" + status) == "200"
    assert json.loads(shell.good(f"curl -s {path}")) == {"items": []}


# -- Backends


def test_a_memory_store_forgets_when_it_is_restarted(tmp_path: Path) -> None:
    line = "KUMA_STORE_TYPE=memory kuma-cp run"
    with network_namespace() as inside, ExitStack() as stack:
        shell = Shell(tmp_path, stack, inside)
        process = shell.control_plane(line)
        shell.good("kumactl apply -f -", (SEED / "redis-1.yaml").read_text())
        process.terminate()
        assert process.wait(timeout=20) == 0
        shell.control_plane(line)
        assert json.loads(shell.good("kumactl get dataplanes -o json"))["items"] == []
        assert shell.good("kumactl get meshes").splitlines()[1].split()[0] == "default"
