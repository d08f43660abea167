"""kumactl and a real control plane with policies: explain, inspect xds and dry runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import LISTENER

from .conftest import Call, configure


def route(name: str, source: str, *versions: tuple[str, int]) -> dict[str, Any]:
    conf = [{"weight": w, "destination": {"service": "ledger", "version": v}} for v, w in versions]
    ends = {"sources": [{"match": {"service": source}}], "destinations": [{"match": {"service": "ledger"}}]}
    return {"type": "TrafficRoute", "mesh": "default", "name": name, **ends, "conf": conf}


SPLIT = route("split", "web", ("1", 70), ("2", 30))
BROAD = route("broad", "*", ("1", 1))
WEB = dataplane("web-1", inbound("127.0.0.1:8001:1", "web"), outbounds=[outbound(":7100", "ledger")])


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic]) as platform:
        platform.apply(
            WEB,
            dataplane("ledger-1", inbound("127.0.0.1:9001:1", "ledger", version="1")),
            dataplane("ledger-2", inbound("127.0.0.1:9002:1", "ledger", version="2")),
            SPLIT,
            BROAD,
            route("other", "api", ("1", 1)),
        )
        yield platform


@pytest.fixture
def at(kumactl: Call, home: Path, cp: RunningPlatform) -> Call:
    """kumactl with a configuration that names the control plane."""
    configure(home, cp.api_url)
    return kumactl


def test_explain_a_connection(at: Call) -> None:
    result = at("explain", "web-1", "ledger")
    lines = result.out.splitlines()
    assert lines[0] == "web-1 -> ledger goes to: ledger{version=1} 70, ledger{version=2} 30"
    assert lines[1].startswith("plaintext: the mesh has mTLS off")
    routes = [line.split()[2] for line in lines if line.startswith("TrafficRoute ")]
    assert routes == ["split", "broad", "other"]
    assert [line for line in lines if " * " in line] == [lines[4]]
    for kind in ("TrafficLog", "HealthCheck", "TrafficPermission"):
        assert f'no {kind} exists in mesh "default"' in result.out


def test_explain_a_proxy_and_what_is_not_there(at: Call) -> None:
    assert 'no ProxyTemplate exists in mesh "default"' in at("explain", "web-1").out
    assert 'or no Dataplane "nobody" in it' in at("explain", "dataplane:nobody").err
    assert at("explain", "a", "b", "--mesh", "m").err == 'Error: there is no Mesh with name "m"\n'
    assert "* source: expected the name" in at("explain", "dataplane:").err
    value = json.loads(at("explain", "service:web", "dataplane:ledger-1", "-o", "json").out)
    assert (value["source"], value["destination"]) == ("service:web", "dataplane:ledger-1")


def test_inspect_xds_without_a_proxy(at: Call) -> None:
    lines = at("inspect", "xds", "web-1").out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["TYPE", "NAME"],
        ["cds", "ledger{version=1}"],
        ["cds", "ledger{version=2}"],
        ["cds", "localhost:1"],
        ["eds", "ledger{version=1}"],
        ["eds", "ledger{version=2}"],
        ["lds", "inbound:127.0.0.1:8001"],
        ["lds", "outbound:127.0.0.1:7100"],
    ]
    assert lines[-1] == "no proxy is connected"
    assert at("inspect", "xds", "nobody").err == (
        'Error: there is no Dataplane with name "nobody" in mesh "default"\n'
    )


def test_inspect_xds_with_a_proxy_that_accepts_then_rejects(at: Call, cp: RunningPlatform) -> None:
    client = DeltaClient("default.web-1")

    def says(*lines: str) -> None:
        shown = at("inspect", "xds", "web-1").out.splitlines()
        assert set(lines) <= set(shown)

    with fleet(cp) as envoys:
        envoys.connect(client)
        eventually(lambda: client.resources[LISTENER])
        eventually(lambda: says("  cds: up to date", "  eds: up to date", "  lds: up to date") or True)
        client.reject[LISTENER] = "cannot bind\n'127.0.0.1:7199'"
        cp.apply({**WEB, "networking": {**WEB["networking"], "outbound": [outbound(":7199", "ledger")]}})
        eventually(lambda: says("  lds: rejected: cannot bind '127.0.0.1:7199'") or True)
        value = yaml.safe_load(at("inspect", "xds", "web-1", "-o", "yaml").out)
        assert value["proxies"][0]["streams"][0]["types"]["lds"]["rejection"].startswith("cannot bind")
    cp.apply(WEB)


def test_apply_dry_run_tells_what_changes_and_stores_nothing(at: Call, cp: RunningPlatform) -> None:
    before = cp.get("/meshes/default/traffic-routes").body
    changed, same = route("split", "web", ("1", 100)), BROAD
    orphan = {**SPLIT, "mesh": "new"}
    documents = yaml.safe_dump_all([changed, same, {"type": "Mesh", "name": "new"}, orphan])
    result = at("apply", "--dry-run=xds", stdin=documents)
    lines = result.out.splitlines()
    assert [line for line in lines if line.startswith("would")] == [
        'would apply TrafficRoute "split": 1 proxy changes',
        'would apply TrafficRoute "broad": no proxies change',
        'would apply Mesh "new": no proxies change',
    ]
    assert lines[1] == "  web-1 in mesh default"
    assert "    remove cds ledger{version=2}" in lines
    assert "    change lds outbound:127.0.0.1:7100" in lines
    assert any(line.startswith("      -") and "ledger{version=2}" in line for line in lines)
    assert result.code == 1, "each document is tried on its own: the mesh of the last is not there"
    assert result.err.startswith(
        'failed TrafficRoute "split": Could not create a resource (Mesh is not found)'
    )
    assert cp.get("/meshes/default/traffic-routes").body == before
    assert cp.get("/meshes/new").status == 404


def test_apply_dry_run_as_documents(at: Call) -> None:
    text = yaml.safe_dump({**route("split", "web", ("2", 1)), "colour": "red"})
    result = at("apply", "--dry-run=xds", "-o", "json", stdin=text)
    (answer,) = json.loads(result.out)["answers"]
    assert (result.code, result.err) == (0, 'Warning: unknown field "colour" is ignored\n')
    assert answer["resource"] == {"type": "TrafficRoute", "mesh": "default", "name": "split"}
    assert {change["op"] for change in answer["proxies"][0]["changes"]} == {"remove", "change"}


def test_delete_dry_run_tells_what_changes_and_deletes_nothing(at: Call, cp: RunningPlatform) -> None:
    result = at("delete", "--dry-run=xds", "traffic-route", "split")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(
        'would delete TrafficRoute "split": 1 proxy changes\n  web-1 in mesh default\n'
    )
    assert at("delete", "--dry-run", "traffic-route", "split").out == 'would delete TrafficRoute "split"\n'
    assert at("delete", "--dry-run=xds", "traffic-route", "nope").err == (
        'Error: there is no TrafficRoute with name "nope" in mesh "default"\n'
    )
    assert cp.get("/meshes/default/traffic-routes/split").status == 200
