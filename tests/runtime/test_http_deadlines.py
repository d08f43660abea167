"""Deadlines of both HTTP servers: another byte buys no more time, and whoever waits the longest gives way."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import pytest

from kuma_core.plugin.contract import Body
from kuma_core.runtime import asgi_connections, http, http_channels, http_deadlines, https
from kuma_core.runtime.http import HttpServer, bind
from kuma_core.runtime.https import AsgiHttpServer, over_wsgi
from kuma_core.testing.waiting import eventually

from ..api.support import read_reply, send_bytes

SOON = 0.4
LONG = os.urandom(12_000_000)
"""More than the kernel keeps for a client that reads nothing."""
KINDS = ("plain", "asgi")
BODY = Body(100_000, "acme.maxBytes")


class App:
    """Answers with what it got; ``/long`` with a long answer, ``/wait`` once it may."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.waits = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/wait":
            self.waits.set()
            self.goes_on.wait(20)
        body = LONG if environ["PATH_INFO"] == "/long" else environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


@contextmanager
def serving(kind: str, app: App) -> Iterator[int]:
    with bind("apiServer.port", "KUMA_API_SERVER_PORT", 0, "127.0.0.1") as listener:
        server: HttpServer | AsgiHttpServer
        if kind == "plain":
            server = HttpServer("http", app, listener, BODY, ["/alive"])
        else:
            server = AsgiHttpServer("asgi", over_wsgi(app), listener, None, BODY)
        server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            app.goes_on.set()
            server.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which server; its deadlines are short."""
    monkeypatch.setattr(http_channels, "HEAD_SECONDS", SOON)
    monkeypatch.setattr(asgi_connections, "HEAD_SECONDS", SOON)
    monkeypatch.setattr(http_deadlines, "BODY_SECONDS", SOON)
    monkeypatch.setattr(https, "BODY_SECONDS", SOON)
    monkeypatch.setattr(http_deadlines, "ANSWER_SECONDS", SOON)
    monkeypatch.setattr(asgi_connections, "ANSWER_SECONDS", SOON)
    monkeypatch.setattr(asgi_connections, "LAST_WORD_SECONDS", SOON)
    return str(request.param)


def dripped(port: int, first: bytes, drip: bytes) -> bytes:
    """What a client reads that sends something every 50 ms, until it is thrown out; fails if that takes too long."""
    end = time.monotonic() + 8
    with socket.create_connection(("127.0.0.1", port), timeout=0.05) as client:
        client.sendall(first)
        while time.monotonic() < end:
            with suppress(TimeoutError):
                try:
                    said = client.recv(65536)
                    client.settimeout(5)
                    return said + b"".join(iter(lambda: client.recv(65536), b""))
                except ConnectionError:
                    return b""
            with suppress(OSError):
                client.sendall(drip)
    raise AssertionError("nobody ended the connection")


def connections(port: int) -> int:
    """How many clients the server has."""
    return sum(
        item.laddr.port == port and bool(item.raddr) for item in psutil.Process().net_connections("tcp")
    )


@pytest.mark.parametrize(
    ("first", "drip"),
    [(b"GET / HTTP/1.1\r\nX: ", b"a"), (b"\r\n\r\n", b"\r\n"), (b"", b"")],
    ids=["head", "blank lines", "silence"],
)
def test_a_whole_head_has_its_time(kind: str, first: bytes, drip: bytes) -> None:
    with serving(kind, App()) as port:
        said = dripped(port, first, drip)
        assert not said or b" 40" in said.split(b"\r\n")[0]
        assert send_bytes(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status == 200


@pytest.mark.parametrize("length", [b"Content-Length: 5000", b"Transfer-Encoding: chunked"])
def test_a_whole_body_has_its_time(kind: str, length: bytes) -> None:
    with serving(kind, App()) as port:
        head = b"PUT / HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n"
        # a byte that crosses the refusal resets the connection, and the refusal is lost: then once more
        said = next(filter(None, (dripped(port, head, b"1\r\na\r\n") for _ in range(5))))
    assert said.startswith(b"HTTP/1.1 408 ")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["details"]


def test_a_request_after_another_has_its_own_time(kind: str) -> None:
    """What a slow worker takes is not counted against its client."""
    with serving(kind, App()) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        for _ in range(6):
            client.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
            time.sleep(SOON / 2)
            client.sendall(b"word")
            assert read_reply(client).body == b"word"


def test_an_answer_that_nobody_reads_ends(kind: str) -> None:
    with serving(kind, App()) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: connections(port) == 1)
        eventually(lambda: connections(port) == 0, what="the end of the connection")
        read = 0
        with suppress(ConnectionError):
            while found := len(client.recv(2**20)):
                read += found
    assert read < len(LONG)


def test_an_answer_that_is_read_is_whole(kind: str) -> None:
    with serving(kind, App()) as port:
        assert send_bytes(port, b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n").body == LONG


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_with_the_setting(kind: str, chunked: bool) -> None:
    body = b"x" * (BODY.most_bytes + 1)
    head, data = b"Content-Length: %d" % len(body), body
    if chunked:
        head, data = b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with serving(kind, App()) as port:
        reply = send_bytes(port, b"PUT / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + data)
        assert reply.status == 413
        assert "more than 100000 bytes (acme.maxBytes)" in reply.error()["details"]
        assert send_bytes(port, b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab").body == b"ab"


def test_whoever_waits_the_longest_gives_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS", 20)
    monkeypatch.setattr(https, "CONNECTIONS", 20)
    with serving(kind, App()) as port:
        clients = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(60)]
        try:
            assert send_bytes(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status == 200
            clients[0].settimeout(5)
            assert clients[0].recv(1) == b""
        finally:
            for client in clients:
                client.close()


def test_requests_at_work_give_way_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS", 20)
    app = App()
    with (
        serving("plain", app) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as worked_for,
    ):
        worked_for.sendall(b"PUT /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nword")
        others = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(60)]
        app.goes_on.set()
        assert read_reply(worked_for).body == b"word"
        for other in others:
            other.close()


def test_some_paths_need_no_worker() -> None:
    """All of them are busy."""
    app = App()
    with serving("plain", app) as port:
        busy = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(2 * http.WORKERS)]
        for client in busy:
            client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert send_bytes(port, b"GET /alive HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status == 200
        app.goes_on.set()
        for client in busy:
            assert read_reply(client).status == 200
            client.close()


def test_lines_around_chunks_are_bounded() -> None:
    with serving("plain", App()) as port:
        head = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;"
        assert send_bytes(port, head + b"a" * 20_000).status == 400


def test_no_more_connections_a_second_are_let_in_than_there_may_be() -> None:
    """Twenty a second: forty at once, and then each waits for its turn; nobody is turned away."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        port = listener.getsockname()[1]
        server = AsgiHttpServer("asgi", over_wsgi(App()), listener, None, BODY, arrivals=20)
        server.start()
        try:
            began = time.monotonic()
            clients = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(60)]
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert all(client.recv(12) == b"HTTP/1.1 200" for client in clients)
            assert time.monotonic() - began > 0.9
            for client in clients:
                client.close()
        finally:
            server.close()
