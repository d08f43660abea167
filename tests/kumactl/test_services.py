"""``kumactl get services``, ``kumactl inspect service`` and ``kumactl analyze``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Call, FakeServer

NODE = {
    "name": "ledger",
    "isGhost": False,
    "isGateway": False,
    "instances": {"total": 2, "online": 1, "degraded": 0, "offline": 1, "neverConnected": 0},
    "tags": {"version": ["1", "2"]},
}
GHOST = {
    **NODE,
    "name": "ghost",
    "isGhost": True,
    "instances": {"total": 0, "online": 0, "degraded": 0, "offline": 0, "neverConnected": 0},
    "tags": {},
}


def edge(source: str, destination: str, verdict: str, reason: str) -> dict[str, Any]:
    counted = {"clients": {"total": 3, "healthy": 2}, "endpoints": {"total": 2, "healthy": 1}}
    return {"source": source, "destination": destination, "verdict": verdict, "reason": reason, **counted}


DETAIL = {
    **NODE,
    "mesh": "default",
    "dataplanes": [
        {"dataplane": "ledger-1", "status": "Online", "tags": [{"service": "ledger", "version": "1"}]}
    ],
    "calls": [edge("ledger", "ghost", "noEndpoint", 'no dataplane offers "ghost"')],
    "calledBy": [edge("web", "ledger", "allowed", 'TrafficPermission "p" lets them in')],
}


def finding(level: str) -> dict[str, Any]:
    subject = {"kind": "Mesh", "name": "default"}
    return {
        "id": "mtls-without-permission",
        "level": level,
        "subject": subject,
        "text": "closed",
        "advice": "open",
    }


def test_services_are_listed_with_the_status_of_their_instances(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/meshes/default/services", 200, json.dumps({"items": [GHOST, NODE]}))
    result = connected("get", "services")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "MESH      NAME     INSTANCES           ONLINE   DEGRADED   OFFLINE   NEVER CONNECTED   TAGS\n"
        "default   ghost    none, only called   0        0          0         0                 \n"
        "default   ledger   2                   1        0          1         0                 version=1,2\n"
    )


def test_a_service_shows_its_neighbours_and_why(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/meshes/default/services/ledger", 200, json.dumps(DETAIL))
    result = connected("inspect", "service", "ledger")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "DATAPLANE   STATUS   TAGS\n"
        "ledger-1    Online   service=ledger version=1\n"
        "\n"
        "DIRECTION      SERVICE   VERDICT      CLIENTS   ENDPOINTS   REASON\n"
        'calls          ghost     noEndpoint   2/3       1/2         no dataplane offers "ghost"\n'
        'is called by   web       allowed      2/3       1/2         TrafficPermission "p" lets them in\n'
    )


@pytest.mark.parametrize(("level", "code"), [("info", 0), ("warning", 3), ("error", 3)])
def test_analyze_ends_with_3_where_something_is_wrong(
    connected: Call, server: FakeServer, level: str, code: int
) -> None:
    server.reply("GET", "/meshes/default/findings", 200, json.dumps({"items": [finding(level)]}))
    result = connected("analyze")
    assert (result.code, result.err) == (code, "")
    assert f"{level}   " in result.out
    assert connected("analyze", "-o", "json").code == code


def test_analyze_says_so_where_nothing_is_wrong(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/meshes/default/findings", 200, json.dumps({"items": []}))
    result = connected("analyze")
    assert (result.code, result.out) == (0, 'nothing is wrong in mesh "default"\n')


def test_what_is_not_there_is_said(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/meshes/default", 200, '{"type": "Mesh", "name": "default"}')
    result = connected("inspect", "service", "nobody")
    assert result.code == 1
    assert 'nobody offers or calls a service "nobody" in mesh "default"' in result.err
    assert "older than kumactl" in connected("analyze").err
    assert 'there is no Mesh with name "other"' in connected("analyze", "--mesh", "other").err


def test_an_answer_of_another_shape_is_no_traceback(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/meshes/default/findings", 200, '{"items": [1]}')
    server.reply("GET", "/meshes/default/services", 200, '{"items": [{}]}')
    for words in (("analyze",), ("get", "services")):
        result = connected(*words)
        assert result.code == 1
        assert "Traceback" not in result.err
