"""Probes of the kubelet, answered for an application whose ports it cannot ask itself."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kuma_core.dataplane import probes
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.probe_targets import parse
from kuma_core.errors import KumaError
from kuma_core.kumactl.tls_pair import generate
from kuma_core.testing.ports import free_port

from .support import Program, wait_for


class Application:
    """Answers each path with the code in it, and keeps what it was asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.is_held = threading.Event()
        self.is_held.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def _handler(outer) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, dict(self.headers)))
                outer.is_held.wait(60)
                self.send_response(int(self.path[1:4]))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def close(self) -> None:
        self.is_held.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def application() -> Iterator[Application]:
    made = Application()
    yield made
    made.close()


@contextmanager
def answering(**targets: Any) -> Iterator[Callable[..., tuple[int, str]]]:
    """A server with these targets under ``/<name>``; gives what asks it."""
    port = free_port()
    text = json.dumps({"port": port, "targets": {f"/{name}": target for name, target in targets.items()}})
    with probes.served(parse(text), "10.1.2.3", Log("off")) as server:
        assert server
        server.start()
        yield lambda path, method="GET": ask(port, path, method)


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()
    finally:
        connection.close()


def http_(port: int, path: str, **more: Any) -> dict[str, Any]:
    return {"port": port, "path": path, "scheme": "HTTP", "timeout": 30, **more}


@pytest.mark.parametrize(("code", "told"), [(200, 200), (204, 200), (302, 200), (404, 404), (500, 500)])
def test_the_application_is_asked_and_its_answer_passed_on(
    application: Application, code: int, told: int
) -> None:
    with answering(ready=http_(application.port, f"/{code}?a=b")) as get:
        assert get("/ready") == (told, f"127.0.0.1:{application.port} answered {code}")
    assert [path for path, _ in application.asked] == [f"/{code}?a=b"]


def test_it_is_asked_as_the_kubelet_would(application: Application) -> None:
    with answering(
        ready=http_(application.port, "/200", headers=[["X-Probe", "yes"], ["host", "shop"]])
    ) as get:
        get("/ready")
    with answering(ready=http_(application.port, "/200")) as get:
        get("/ready")
    (_, named), (_, plain) = application.asked
    assert (named["X-Probe"], named["host"]) == ("yes", "shop")
    assert plain["Host"] == f"10.1.2.3:{application.port}"
    assert plain["User-Agent"].startswith("kube-probe/")


def test_a_certificate_is_not_looked_at(tmp_path: Path) -> None:
    made = generate(["elsewhere"], is_client=False)
    (tmp_path / "pair").write_bytes(made.key + made.cert)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pair")
    application = Application(tls)
    try:
        with answering(ready=http_(application.port, "/200", scheme="HTTPS")) as get:
            assert get("/ready")[0] == 200
    finally:
        application.close()


def test_a_tcp_probe_finds_out_whether_the_port_takes_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with answering(alive={"port": port, "timeout": 30}) as get:
            assert get("/alive") == (200, f"127.0.0.1:{port} takes connections")
            server.close()
            assert get("/alive") == (503, f"127.0.0.1:{port}: Connection refused")


def test_an_application_that_is_late_fails(application: Application) -> None:
    application.is_held.clear()
    with answering(ready=http_(application.port, "/200", timeout=0.05)) as get:
        assert get("/ready") == (504, f"127.0.0.1:{application.port} did not answer within 0.05 s")


def test_what_is_no_http_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0\r\n")
                connection.recv(1)

        thread = threading.Thread(target=greet)
        thread.start()
        with answering(ready=http_(server.getsockname()[1], "/")) as get:
            assert get("/ready")[1].endswith("that is not an answer of HTTP")
        thread.join()


def test_nothing_else_is_asked(application: Application) -> None:
    with answering(ready=http_(application.port, "/200")) as get:
        assert get("/") == get("/200") == get("/ready/") == get("/ready?x") == (404, "no probe has this path")
        assert get("/ready", "POST") == (405, "probes use GET")
    assert application.asked == []


def test_those_who_send_nothing_stop_nobody(application: Application) -> None:
    port = free_port()
    text = json.dumps({"port": port, "targets": {"/ready": http_(application.port, "/200")}})
    with probes.served(parse(text), "", Log("off")) as server, ExitStack() as stack:
        assert server
        server.start()
        for _ in range(probes.MOST_AT_ONCE * 2):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
        assert ask(port, "/ready")[0] == 200


def test_a_port_that_is_taken_ends_the_start() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        probing = parse(json.dumps({"port": port, "targets": {}}))
        with (
            pytest.raises(KumaError, match=f"the port {port} for probes"),
            probes.served(probing, "", Log("off")),
        ):
            pass


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"port": 0, "targets": {}}',
        '{"port": 9000, "targets": {"/a": {"port": 1}}}',
        '{"port": 9000, "targets": {"/a": {"port": 1, "timeout": 1, "path": "/\\r\\nX: y"}}}',
    ],
)
def test_what_is_not_of_the_injector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it is not what the injector writes"):
        parse(text)


def test_nothing_listens_where_there_are_no_probes() -> None:
    with probes.served(parse(""), "", Log("off")) as server:
        assert server is None


def test_kuma_dp_answers_while_its_envoy_runs(
    kuma_dp: Callable[..., Program], application: Application
) -> None:
    """And keeps what a probe's headers say out of its log."""
    port = free_port()
    target = http_(application.port, "/200", headers=[["Authorization", "a secret"]])
    told = json.dumps({"port": port, "targets": {"/app/readinessProbe": target}})
    program = kuma_dp("--log-level=debug", KUMA_DATAPLANE_PROBES=told, INSTANCE_IP="10.1.2.3")

    def is_answered() -> bool:
        assert program.process.poll() is None, program.err
        try:
            return ask(port, "/app/readinessProbe")[0] == 200
        except OSError:
            return False

    wait_for(is_answered, "an answered probe")
    assert application.asked[0][1]["Authorization"] == "a secret"
    assert "a secret" not in program.err
    program.process.terminate()
    assert program.process.wait(60) == 0
    with pytest.raises(OSError, match="refused"):
        ask(port, "/app/readinessProbe")


def test_probes_that_cannot_be_read_end_the_start(kuma_dp: Callable[..., Program]) -> None:
    program = kuma_dp(KUMA_DATAPLANE_PROBES="{}")
    assert program.process.wait(60) == 1
    assert ".DataplaneRuntime is not valid: .Probes: it is not what the injector writes: " in program.err
