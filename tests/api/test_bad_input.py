"""Requests that are broken, hostile, huge or slow. Each has its answer, and none leaves anything behind."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform

from .support import assert_error, read_reply, send, send_bytes

IN = inbound("10.0.0.1:8080:80", "web")
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _nothing_is_left(cp: RunningPlatform, shop: str) -> Iterator[None]:
    """Every test begins with an empty mesh ``shop``, and none may store a Dataplane named ``bad``."""
    yield
    assert cp.get(f"/meshes/{shop}/dataplanes/bad").status == 404
    assert cp.get("/meshes/bad").status == 404


def put_bad(
    cp: RunningPlatform, shop: str, body: bytes, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """PUT a body that must be refused with 400, and the error."""
    reply = send(cp.api, "PUT", f"/meshes/{shop}/dataplanes/bad", body, headers)
    assert reply.status == 400, reply
    return reply.error()


def text_of(shop: str, **changes: Any) -> str:
    return json.dumps({**dataplane("bad", IN, mesh=shop), **changes})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"{oops", "not valid JSON"),
        (b'{"type": "Dataplane"', "line 1, column"),
        (b"[]", "expected a JSON object, got a list"),
        (b'"text"', "expected a JSON object, got a text"),
        (b"null", "expected a JSON object, got null"),
        (b"7", "expected a JSON object, got a number"),
        (b"true", "expected a JSON object, got a flag"),
        (b'{"a": NaN}', "NaN is not a JSON value"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON value"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "more than 100 digits"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', 'the key "c" is given twice'),
        (b'{"a": "\xff"}', "not UTF-8 (byte 7)"),
        (b"\xef\xbb\xbf\x00{}", "not valid JSON"),
        (b'{"a": "\x00"}', "not valid JSON"),
        (b'{"a": ' * 65 + b"1" + b"}" * 65, "nested more than 64 levels"),
        (b"[" * 500_000, "nested more than 64 levels"),
        (b'{"a":' * 150_000, "nested more than 64 levels"),
    ],
)
def test_bodies_that_are_no_json_object(cp: RunningPlatform, shop: str, body: bytes, said: str) -> None:
    error = put_bad(cp, shop, body)
    assert said in error["details"]
    assert error["title"] == "Could not process a resource"
    assert "causes" not in error


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"a": ["b", "\\u0000"]}', "a[1]"),
        (b'{"a": {"b": [{"c-d": "x\\u0000"}]}}', 'a.b[0]["c-d"]'),
        (b'{"\\ud800": 1}', '["\\ud800"]'),
        (b'{"a": {"' + b"b" * 5000 + b'\\u0000": 1}}', f'a["{"b" * 80}"]'),
    ],
)
def test_what_cannot_be_stored_is_named(cp: RunningPlatform, shop: str, body: bytes, field: str) -> None:
    error = put_bad(cp, shop, body)
    text = "holds the character NUL or half a surrogate pair"
    assert error["details"] == f"the body {text}"
    assert error["causes"] == [{"field": field, "message": text}]


@pytest.mark.parametrize(
    ("networking", "field"),
    [
        (7, "networking"),
        ([], "networking"),
        ({"inbound": {}}, "networking.inbound"),
        ({"inbound": [None]}, "networking.inbound[0]"),
        ({"inbound": ["x"]}, "networking.inbound[0]"),
        ({"inbound": [{**IN, "interface": 7}]}, "networking.inbound[0].interface"),
        ({"inbound": [{**IN, "tags": []}]}, "networking.inbound[0].tags"),
        ({"inbound": [{**IN, "tags": {"service": 7}}]}, 'networking.inbound[0].tags["service"]'),
        ({"inbound": [{**IN, "tags": {"service": ["a"]}}]}, 'networking.inbound[0].tags["service"]'),
        ({"inbound": [IN], "outbound": [{"servicePort": -1}]}, "networking.outbound[0].servicePort"),
        ({"inbound": [IN], "outbound": [{"servicePort": 1.5}]}, "networking.outbound[0].servicePort"),
        ({"inbound": [IN], "outbound": [{"servicePort": True}]}, "networking.outbound[0].servicePort"),
        ({"inbound": [IN], "outbound": [{"servicePort": 2**32}]}, "networking.outbound[0].servicePort"),
        ({"inbound": [IN], "outbound": [{"servicePort": "9" * 90}]}, "networking.outbound[0].servicePort"),
    ],
)
def test_values_of_a_wrong_type_are_named(
    cp: RunningPlatform, shop: str, networking: Any, field: str
) -> None:
    error = put_bad(cp, shop, text_of(shop, networking=networking).encode())
    assert [cause["field"] for cause in error["causes"]] == [field]
    assert all(len(cause["message"]) < 200 for cause in error["causes"])


def test_a_backslash_before_u0000_is_no_nul(cp: RunningPlatform, shop: str) -> None:
    tags = {"service": "web", "odd": r"a\u0000b"}
    cp.apply(dataplane("good", {**IN, "tags": tags}, mesh=shop))
    stored = cp.get(f"/meshes/{shop}/dataplanes/good").body
    assert stored["networking"]["inbound"][0]["tags"] == tags


def chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [MIB + 1, 50 * MIB])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_that_are_too_large(cp: RunningPlatform, shop: str, size: int, chunked: bool) -> None:
    body = b" " * size
    data, headers = (chunks(body, MIB), {"Transfer-Encoding": "chunked"}) if chunked else (body, None)
    reply = send(cp.api, "PUT", f"/meshes/{shop}/dataplanes/bad", data, headers)
    assert reply.status == 413
    assert "apiServer.maxBodyBytes" in reply.error()["details"]


def test_a_body_that_even_the_http_server_refuses(cp: RunningPlatform, shop: str) -> None:
    head = f"PUT /meshes/{shop}/dataplanes/bad HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n\r\n"
    reply = send_bytes(cp.api, head.encode())
    assert reply.status == 413
    reply.error()


def test_a_chunked_body_without_a_length(cp: RunningPlatform, shop: str) -> None:
    body = json.dumps(dataplane("good", IN, mesh=shop)).encode()
    headers = {"Transfer-Encoding": "chunked"}
    reply = send(cp.api, "PUT", f"/meshes/{shop}/dataplanes/good", chunks(body, 10), headers)
    assert reply.status == 201


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("Deflate", raw_deflate), ("identity", bytes)],
)
def test_packed_bodies(cp: RunningPlatform, shop: str, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    target, headers = f"/meshes/{shop}/dataplanes", {"Content-Encoding": encoding}
    body = json.dumps(dataplane("good", IN, mesh=shop)).encode()
    assert send(cp.api, "PUT", f"{target}/good", pack(body), headers).status == 201
    if encoding != "identity":
        for broken in (body, pack(body)[:-5], b""):
            assert (
                "is not valid"
                in put_bad(cp, shop, broken, {**headers, "Content-Length": str(len(broken))})["details"]
            )
        bomb = send(cp.api, "PUT", f"{target}/bad", pack(b" " * (64 * MIB)), headers)
        assert bomb.status == 413
        bomb.error()


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd", "x" * 1000])
def test_packings_that_nobody_knows(cp: RunningPlatform, shop: str, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    reply = send(cp.api, "PUT", f"/meshes/{shop}/dataplanes/bad", b"{}", headers)
    assert reply.status == 415
    reply.error()


@pytest.mark.parametrize("name", ["__proto__", "constructor", "0", "-", "_", "a" * 253])
def test_odd_names_that_are_names(cp: RunningPlatform, shop: str, name: str) -> None:
    cp.apply(dataplane(name, IN, mesh=shop))
    assert cp.get(f"/meshes/{shop}/dataplanes/{name}").body["name"] == name
    assert cp.delete(f"/meshes/{shop}/dataplanes/{name}").status == 200


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("a.b", "a.b"),
        ("UPPER", "UPPER"),
        ("a%20b", "a b"),
        ("%C3%A9", "é"),
        ("%F0%9F%98%80", "😀"),
        ("a%0Ab", "a\nb"),
        ("%D9%A1", "\u0661"),
        ("a" * 254, "a" * 254),
        ("a" * 60_000, "a" * 60_000),
        ("%ff", "\ufffd"),
        ("%3Cscript%3E", "<script>"),
    ],
)
def test_names_that_are_none(cp: RunningPlatform, shop: str, target: str, name: str) -> None:
    for path, body in (
        (f"/meshes/{shop}/dataplanes/{target}", dataplane(name, IN, mesh=shop)),
        (f"/meshes/{target}", mesh(name)),
    ):
        reply = send(cp.api, "PUT", path, json.dumps(body).encode())
        assert reply.status == 400
        assert {cause["field"] for cause in reply.error()["causes"]} <= {"name", "mesh"}
        for method in ("GET", "DELETE"):
            reply = send(cp.api, method, path)
            assert reply.status == 404
            reply.error()


@pytest.mark.parametrize("target", ["a%2Fb", "a%2fb%2fc", "%00", "a%00"])
def test_names_that_cannot_even_be_asked_for(cp: RunningPlatform, shop: str, target: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        reply = send(cp.api, method, f"/meshes/{shop}/dataplanes/{target}")
        assert reply.status == 404
        reply.error()


def test_1000_unknown_fields_make_20_warnings(cp: RunningPlatform, shop: str) -> None:
    body = {**mesh(shop), **{f'wrong "{number}" é\\ {"x" * 400}': number for number in range(1000)}}
    reply = send(cp.api, "PUT", f"/meshes/{shop}", json.dumps(body).encode())
    assert reply.status == 200
    warnings = ", ".join(reply.headers.get_all("Warning") or ())
    assert warnings.count('299 - "') == 20
    assert warnings.endswith('299 - "and 981 more warnings"')
    assert cp.get(f"/meshes/{shop}").body == {**mesh(shop), "mtls": {"ca": {"builtin": {}}}}


@pytest.mark.parametrize(
    "head",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /meshes HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n",
        b"GET /meshes HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"PUT /meshes/bad HTTP/1.1\r\nHost: x\r\nContent-Length: five\r\n\r\n",
        b"PUT /meshes/bad HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"PUT /meshes/bad HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: frob\r\n\r\n",
        b"GET /" + b"a" * 400_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_hardly_http(cp: RunningPlatform, head: bytes) -> None:
    reply = send_bytes(cp.api, head)
    assert reply.status in (400, 431, 501)
    reply.error()


def test_expect_100_continue(cp: RunningPlatform, shop: str) -> None:
    body = json.dumps(mesh(shop)).encode()
    expect = f"Expect: 100-continue\r\nContent-Length: {len(body)}"
    head = f"PUT /meshes/{shop} HTTP/1.1\r\nHost: x\r\n{expect}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", cp.api), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert read_reply(connection).status == 200


def test_clients_that_send_half_a_request_block_nobody(cp: RunningPlatform, shop: str) -> None:
    halves = [b"GET /mes", b"PUT /meshes/bad HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b""]
    connections = []
    try:
        for number in range(150):
            connections.append(socket.create_connection(("127.0.0.1", cp.api), timeout=10))
            connections[-1].sendall(halves[number % 3])
        for _ in range(5):
            assert cp.get(f"/meshes/{shop}").status == 200
    finally:
        for connection in connections:
            connection.close()


def test_200_requests_at_once(cp: RunningPlatform, shop: str) -> None:
    """All of them write the same four resources; each write is whole, and one of each set made it."""

    def write(number: int) -> str:
        name = f"web-{number % 4}"
        body = json.dumps(dataplane(name, inbound(f"10.0.0.{number}:80:80", "web"), mesh=shop)).encode()
        connection = http.client.HTTPConnection("127.0.0.1", cp.api, timeout=30)
        connection.request("PUT", f"/meshes/{shop}/dataplanes/{name}", body)
        response = connection.getresponse()
        answer = response.read()
        if response.status == 409:
            assert_error(json.loads(answer))
        else:
            assert response.status in (200, 201), answer
        connection.close()
        return str(response.headers["Kuma-Result"])

    with ThreadPoolExecutor(200) as pool:
        results = list(pool.map(write, range(1, 201)))
    assert results.count("created") == 4
    assert results.count("updated") > 0
    assert len(cp.get(f"/meshes/{shop}/dataplanes").body["items"]) == 4
