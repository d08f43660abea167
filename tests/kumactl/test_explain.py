"""``kumactl explain``."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from .conftest import Call, FakeServer, configure

PATH = "/meshes/default/explain"


def candidate(name: str, reason: str, rank: tuple[int, int] | None = None, applies: bool = False) -> Any:
    ranked = {"total": rank[0], "exact": rank[1]} if rank else None
    return {"name": name, "applies": applies, "rank": ranked, "reason": reason}


def policy(kind: str, scope: str, service: str, *candidates: Any) -> dict[str, Any]:
    return {"kind": kind, "scope": scope, "service": service, "candidates": list(candidates)}


def destination(weight: int, **tags: str) -> dict[str, Any]:
    return {"tags": {"service": "ledger", **tags}, "weight": weight}


ANSWER = {
    "mesh": "default",
    "source": "dataplane:web-1",
    "destination": "service:ledger",
    "access": "denied",
    "reason": "nobody lets them in",
    "routed": [destination(70, zone="z", version="1"), destination(30)],
    "policies": [
        policy(
            "TrafficRoute",
            "route",
            "ledger",
            candidate("a", "no source selector matches"),
            candidate("b", '"d" has the same rank, and its name comes first', (2, 1)),
            candidate("c", '"d" ranks higher', (2, 0)),
            candidate("d", "applies: no other ranks higher", (2, 1), True),
        ),
        policy("TrafficLog", "outbound", "ledger"),
        policy("TrafficPermission", "inbound", "ledger", candidate("p", "applies, with all", (1, 1), True)),
    ],
}


def asked(server: FakeServer) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(server.requests[-1][1]).query, keep_blank_values=True))


def test_a_connection_winners_first_and_marked(connected: Call, server: FakeServer) -> None:
    server.reply("GET", PATH, 200, json.dumps(ANSWER))
    result = connected("explain", "web-1", "service:ledger")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "web-1 -> ledger goes to: ledger{version=1,zone=z} 70, ledger 30\n"
        "denied: nobody lets them in\n"
        "\n"
        "KIND                FOR              NAME   RANK          RESULT\n"
        "TrafficRoute        ledger           d      2 (1 exact)   * applies: no other ranks higher\n"
        'TrafficRoute        ledger           b      2 (1 exact)     "d" has the same rank, and its name'
        " comes first\n"
        'TrafficRoute        ledger           c      2 (0 exact)     "d" ranks higher\n'
        "TrafficRoute        ledger           a      -               no source selector matches\n"
        'TrafficLog          ledger           -      -               no TrafficLog exists in mesh "default"\n'
        "TrafficPermission   inbound ledger   p      1 (1 exact)   * applies, with all\n"
    )
    assert asked(server) == {"source": "web-1", "destination": "service:ledger"}


def test_a_proxy_alone(connected: Call, server: FakeServer) -> None:
    answer = {"mesh": "m", "source": "dataplane:web-1", "policies": [policy("ProxyTemplate", "proxy", "")]}
    server.reply("GET", "/meshes/m/explain", 200, json.dumps(answer))
    lines = connected("explain", "web-1", "--mesh", "m").out.splitlines()
    assert lines[0] == "web-1: policies of the proxy itself"
    assert lines[3].split() == [
        "ProxyTemplate",
        "proxy",
        "-",
        "-",
        *["no", "ProxyTemplate", "exists", "in", "mesh"],
        '"m"',
    ]
    assert asked(server) == {"source": "web-1"}


def test_nothing_to_route_and_nothing_to_choose(connected: Call, server: FakeServer) -> None:
    """An older control plane says nothing of whether they may come in."""
    older = {name: value for name, value in ANSWER.items() if name not in ("access", "reason")}
    server.reply("GET", PATH, 200, json.dumps({**older, "routed": [], "policies": []}))
    assert connected("explain", "web-1", "ledger").out == (
        "web-1 -> ledger goes to: nowhere, it has no service\n\nthe control plane has no kind of policy for this\n"
    )


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_documents_print_the_answer(connected: Call, server: FakeServer, form: str, read: Any) -> None:
    server.reply("GET", PATH, 200, json.dumps(ANSWER))
    assert read(connected("explain", "a b&c", "x/y", "-o", form).out) == ANSWER
    assert asked(server) == {"source": "a b&c", "destination": "x/y"}


def test_what_the_server_says_cannot_command_the_terminal(connected: Call, server: FakeServer) -> None:
    server.reply("GET", PATH, 200, json.dumps({**ANSWER, "source": "service:\x1b[2J", "policies": []}))
    assert connected("explain", "a", "b").out.startswith("\N{REPLACEMENT CHARACTER}[2J -> ledger")


def test_what_is_not_there_is_named(connected: Call, server: FakeServer) -> None:
    server.error("GET", PATH, 404, {"title": "Could not explain", "details": "Not found"})
    assert connected("explain", "a", "b").err == 'Error: there is no Mesh with name "default"\n'
    assert connected("explain", "dataplane:a", "service:b").err == (
        'Error: there is no Mesh with name "default", or no Dataplane "a" in it\n'
    )
    both = connected("explain", "dataplane:a", "dataplane:b")
    assert (both.code, both.out) == (1, "")
    assert both.err.endswith('or no Dataplane "a" or "b" in it\n')


def test_errors(connected: Call, server: FakeServer) -> None:
    causes = [{"field": "source", "message": "expected a name"}]
    server.error("GET", PATH, 400, {"title": "Could not explain", "details": "not valid", "causes": causes})
    assert connected("explain", "").err == "Error: Could not explain (not valid)\n* source: expected a name\n"
    server.reply("GET", PATH, 404, "nobody")
    assert connected("explain", "a").err == "Error: failed to explain: (404): nobody\n"
    assert "Missing argument 'SOURCE'" in connected("explain").err
    assert '"a/b" cannot be a name' in connected("explain", "a", "--mesh", "a/b").err


@pytest.mark.parametrize("answer", [{}, {**ANSWER, "policies": 1}, {**ANSWER, "routed": [{"tags": {}}]}])
def test_an_answer_of_another_shape(connected: Call, server: FakeServer, answer: dict[str, Any]) -> None:
    server.reply("GET", PATH, 200, json.dumps(answer))
    result = connected("explain", "a", "b")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        f"Error: {server.url}{PATH} did not answer as kumactl knows it; are the versions alike?\n"
    )


def test_without_a_control_plane(kumactl: Call, home: Any) -> None:
    configure(home, "http://127.0.0.1:1")
    assert "cannot reach the API server" in kumactl("explain", "a").err
