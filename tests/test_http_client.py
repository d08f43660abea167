"""The bounds of an exchange, and its way to the server; what clients make of it is told beside them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kuma_core import __version__, http_client
from kuma_core.http_client import HttpFailure, NotConnected, NotHttp, Rules, exchange

RULES = Rules(timeout=20, limit=1000)
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "no_proxy", "NO_PROXY")


class Server:
    """Answers everything, and remembers what it was asked, as ``METHOD target`` and headers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        seen = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.asked.append((f"{self.command} {self.path}", dict(self.headers)))
                self.send_response(302 if self.path == "/round" else 200)
                if self.path == "/round":
                    self.send_header("Location", "/round")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: Any) -> None:
                return None

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        """Hang up."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    running = Server()
    yield running
    running.close()


def failure(url: str, rules: Rules = RULES) -> HttpFailure:
    with pytest.raises(HttpFailure) as caught:
        exchange("GET", url, {}, None, rules)
    return caught.value


def test_a_request_says_who_asks(server: Server) -> None:
    assert exchange("GET", server.url + "/a?b=c#d", {"Accept": "*/*"}, None, RULES).text() == "ok"
    ((line, headers),) = server.asked
    assert line == "GET /a?b=c"
    assert (headers["Accept"], headers["User-Agent"]) == ("*/*", f"kuma/{__version__}")


def test_a_connection_has_less_time_than_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "CONNECT_SECONDS", 0.3)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # Linux takes one more than it was told, and drops what comes then
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        started = time.monotonic()
        failed = failure(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert time.monotonic() - started < RULES.timeout
    assert str(failed) == "no connection within 0.3 s"
    assert not isinstance(failed, NotConnected)  # it took its time already


def test_a_connection_is_refused() -> None:
    with socket.socket() as bound:  # bound but not listening: nobody else can take the port
        bound.bind(("127.0.0.1", 0))
        failed = failure(f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert isinstance(failed, NotConnected)
    assert (str(failed), failed.phrase) == ("Connection refused", "connection refused")


def test_an_answer_may_take_longer_than_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                time.sleep(0.6)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        assert exchange("GET", url, {}, None, RULES).body == b"late"
        thread.join()


@pytest.mark.parametrize(("limit", "words"), [(1, "1 bytes"), (1024 * 1024, "1 MiB")])
def test_an_answer_has_a_limit(limit: int, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (limit + 1))

        thread = threading.Thread(target=serve)
        thread.start()
        failed = failure(f"http://127.0.0.1:{listener.getsockname()[1]}/", Rules(20, limit))
        thread.join()
    assert str(failed) == f"the answer is larger than {words}"


def test_redirects_are_followed_where_that_is_wished_and_not_for_ever(server: Server) -> None:
    assert exchange("GET", server.url + "/round", {}, None, RULES).status == 302
    assert len(server.asked) == 1
    assert (
        exchange("GET", server.url + "/round", {}, None, Rules(20, 1000, follow_redirects=True)).status == 302
    )
    assert len(server.asked) < 20


def test_loopback_is_asked_directly_and_others_by_way_of_the_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert exchange("GET", server.url + "/near", {}, None, RULES).status == 200
    failed = failure("http://mesh.invalid/")
    assert isinstance(failed, NotConnected)
    assert str(failed) == "Connection refused (asked by way of the proxy 127.0.0.1:1)"
    monkeypatch.setenv("http_proxy", server.url)
    assert exchange("GET", "http://mesh.invalid/far", {}, None, RULES).status == 200
    assert [line for line, _ in server.asked] == ["GET /near", "GET http://mesh.invalid/far"]


@pytest.mark.parametrize("excepted", [True, False])
def test_who_wants_no_proxy_has_none(server: Server, monkeypatch: pytest.MonkeyPatch, excepted: bool) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    if excepted:
        monkeypatch.setenv("no_proxy", "mesh.invalid")
    failed = failure("http://mesh.invalid/", Rules(20, 1000, proxies=excepted))
    assert (isinstance(failed, NotConnected), failed.proxy) == (True, "")
    assert server.asked == []


def test_a_password_in_the_url_becomes_a_header(server: Server) -> None:
    url = server.url.replace("//", "//me:p%40ss@") + "/x"
    assert exchange("GET", url, {}, None, RULES).status == 200
    ((line, headers),) = server.asked
    assert (line, headers["Authorization"]) == ("GET /x", "Basic bWU6cEBzcw==")


def test_a_server_without_tls_is_told_in_words(server: Server) -> None:
    failed = failure(server.url.replace("http:", "https:"))
    assert not isinstance(failed, NotConnected | NotHttp)
    assert failed.phrase.startswith("TLS failed: ")
    assert "_ssl.c" not in str(failed)


@pytest.mark.parametrize("url", ["http://a b", "http://[::1", "ftp://x/", "nothing", "http://"])
def test_what_is_no_url_is_a_failure_and_no_traceback(url: str) -> None:
    failed = failure(url)
    assert str(failed)
    assert not isinstance(failed, NotHttp)
