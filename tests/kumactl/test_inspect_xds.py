"""``kumactl inspect xds``."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from .conftest import Call, FakeServer

PATH = "/meshes/default/dataplanes/web-1/xds"


def resource(name: str) -> dict[str, Any]:
    return {"name": name, "version": f"v-{name}", "config": {"name": name}}


def types(**resources: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        short: {"version": f"all-{short}", "resources": resources.get(short, [])}
        for short in ("cds", "eds", "lds", "rds")
    }


def state(acknowledged: str = "", up_to_date: bool = False, rejection: str = "") -> dict[str, Any]:
    return {"acknowledged": acknowledged, "upToDate": up_to_date, "rejection": rejection}


def stream(**states: dict[str, Any]) -> dict[str, Any]:
    connected = datetime.now(UTC) - timedelta(hours=1, seconds=1)
    return {"id": "s-1", "connected": connected.isoformat(), "types": states}


def answer(*proxies: dict[str, Any]) -> dict[str, Any]:
    return {"mesh": "default", "name": "web-1", "proxies": list(proxies)}


def proxy(*streams: dict[str, Any], problem: str = "", **resources: Any) -> dict[str, Any]:
    return {"metadata": {}, "problem": problem, "types": types(**resources), "streams": list(streams)}


def shown(connected: Call, server: FakeServer, *proxies: dict[str, Any]) -> list[str]:
    server.reply("GET", PATH, 200, json.dumps(answer(*proxies)))
    result = connected("inspect", "xds", "web-1")
    assert (result.code, result.err) == (0, "")
    return result.out.splitlines()


def test_the_resources_then_the_streams(connected: Call, server: FakeServer) -> None:
    entry = stream(
        cds=state("all-cds", True),
        eds=state("older"),
        lds=state("older", rejection="Error adding\nlistener \x1b[2J"),
        rds=state(),
    )
    lines = shown(
        connected,
        server,
        proxy(entry, cds=[resource("ledger"), resource("localhost:1")], eds=[], lds=[resource("in")]),
    )
    assert lines[:4] == [
        "TYPE   NAME          VERSION",
        "cds    ledger        v-ledger",
        "cds    localhost:1   v-localhost:1",
        "lds    in            v-in",
    ]
    assert lines[4].startswith("stream s-1, connected 1h0m")
    assert lines[5:] == [
        "  cds: up to date",
        "  eds: behind, runs with older",
        "  lds: rejected: Error adding listener \N{REPLACEMENT CHARACTER}[2J",
        "  rds: up to date, there is nothing to send",
    ]


def test_a_type_that_was_never_acknowledged(connected: Call, server: FakeServer) -> None:
    lines = shown(connected, server, proxy(stream(cds=state()), cds=[resource("a")]))
    assert lines[-1] == "  cds: behind, runs with nothing yet"


def test_a_rejection_with_what_to_do_about_it(connected: Call, server: FakeServer) -> None:
    refused = {**state(rejection="cannot bind\n"), "hint": "Give it\nanother port."}
    lines = shown(connected, server, proxy(stream(lds=refused)))
    assert lines[-2:] == ["  lds: rejected: cannot bind", "    hint: Give it another port."]


def test_what_a_proxy_does_not_get(connected: Call, server: FakeServer) -> None:
    found = {**proxy(lds=[resource("in")]), "warnings": ["no metrics\nare offered", "left out"]}
    lines = shown(connected, server, found)
    assert lines[:3] == ["warning: no metrics are offered", "warning: left out", "TYPE   NAME   VERSION"]


def test_every_proxy_with_its_problem(connected: Call, server: FakeServer) -> None:
    lines = shown(connected, server, proxy(problem="policy X: boom\nat line 2"), proxy(lds=[resource("in")]))
    assert lines == [
        "problem: policy X: boom at line 2",
        "TYPE   NAME   VERSION",
        "no proxy is connected",
        "",
        "TYPE   NAME   VERSION",
        "lds    in     v-in",
        "no proxy is connected",
    ]


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_documents_print_all(connected: Call, server: FakeServer, form: str, read: Any) -> None:
    value = answer(proxy(stream(cds=state()), cds=[resource("a")]))
    server.reply("GET", PATH, 200, json.dumps(value))
    assert read(connected("inspect", "xds", "web-1", "-o", form).out) == value


def test_errors(connected: Call, server: FakeServer) -> None:
    missing = connected("inspect", "xds", "nobody", "--mesh", "m")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err == 'Error: there is no Dataplane with name "nobody" in mesh "m"\n'
    server.reply("GET", PATH, 500, "down")
    assert connected("inspect", "xds", "web-1").err == (
        'Error: failed to inspect Dataplane "web-1": (500): down\n'
    )
    server.reply("GET", PATH, 200, "{}")
    assert "did not answer as kumactl knows it" in connected("inspect", "xds", "web-1").err
    assert '"../x" cannot be a name' in connected("inspect", "xds", "../x").err
    assert "Missing argument 'DATAPLANE'" in connected("inspect", "xds").err
