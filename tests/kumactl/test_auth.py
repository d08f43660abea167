"""``kumactl auth``: who one is, and what one may do."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlsplit

from .conftest import Call, FakeServer

ALICE = {"name": "alice", "groups": ["a", "b"], "by": "token", "credential": "7", "rights": ["public"]}
NO = {"allowed": False, "why": "no binding allows it", "ways": ["ask Bob", "be Bob"]}


def question(server: FakeServer) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(server.requests[-1][1]).query)


def test_whoami(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/whoami", 200, json.dumps(ALICE))
    result = connected("auth", "whoami")
    assert (result.code, result.err) == (0, "")
    assert [line.split() for line in result.out.splitlines()] == [
        ["NAME", "GROUPS", "BY", "RIGHTS"],
        ["alice", "a,b", "token", "public"],
    ]
    assert json.loads(connected("auth", "whoami", "-o", "json").out) == ALICE


def test_yes_is_the_code_0(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/can-i", 200, json.dumps({"allowed": True, "why": "group kuma:admin", "ways": []}))
    result = connected("auth", "can-i", "put", "dp", "--name=web-1", "--tag", "service=web", "--tag=v=1")
    assert (result.code, result.out, result.err) == (0, "yes: group kuma:admin\n", "")
    assert question(server) == [
        ("verb", "put"),
        ("kind", "Dataplane"),
        ("mesh", "default"),
        ("name", "web-1"),
        ("tag", "service=web"),
        ("tag", "v=1"),
    ]


def test_no_is_the_code_1_and_says_what_helps(connected: Call, server: FakeServer) -> None:
    server.reply("GET", "/can-i", 200, json.dumps(NO))
    result = connected("auth", "can-i", "list", "dataplanes", "--all-meshes")
    assert (result.code, result.err) == (1, "")
    assert result.out == "no: no binding allows it\n  What helps: ask Bob\n  What helps: be Bob\n"
    assert question(server) == [("verb", "list"), ("kind", "Dataplane")]
    asked = connected("--mesh=blue", "auth", "can-i", "get", "mesh", "-o", "json")
    assert (asked.code, json.loads(asked.out)) == (1, NO)
    assert ("mesh", "blue") in question(server)


def test_what_the_server_refuses_is_told(connected: Call, server: FakeServer) -> None:
    causes = [{"field": "verb", "message": "expected one of get, list"}]
    error = {"title": "Could not tell", "details": "The request is not valid", "causes": causes}
    server.error("GET", "/can-i", 400, error)
    result = connected("auth", "can-i", "dance", "mesh")
    assert (result.code, result.out) == (1, "")
    assert "verb: expected one of get, list" in result.err
    assert "unknown TYPE: floor" in connected("auth", "can-i", "get", "floor").err


def test_an_older_control_plane_knows_no_users(connected: Call) -> None:
    for words in (("whoami",), ("can-i", "get", "mesh")):
        result = connected("auth", *words)
        assert (result.code, result.out) == (1, "")
        assert "knows no users: it is older than kumactl" in result.err


def test_an_answer_of_another_shape(connected: Call, server: FakeServer) -> None:
    for path, words in (("/whoami", ("whoami",)), ("/can-i", ("can-i", "get", "mesh"))):
        server.reply("GET", path, 200, "{}")
        assert "did not answer as kumactl knows it" in connected("auth", *words).err
