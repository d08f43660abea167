"""``kuma-tcp-echo`` as its clients meet it."""

from __future__ import annotations

import re
import signal
import socket
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from kuma_core.dataplane import tcp_echo
from kuma_core.dataplane.tcp_echo import may_become_request, parse_request

from .support import KUMA_TCP_ECHO, Program, wait_for

Start = Callable[..., Program]
GET = b"GET /path HTTP/1.1\r\nHost: echo\r\n\r\n"
LINE = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (.*)$", re.MULTILINE)


class EchoServer:
    def __init__(self, program: Program) -> None:
        self.program = program
        started = r"Kuma TCP Echo - Listening to connections on port (\d+)\n"
        self.port = int(wait_for(lambda: re.search(started, program.err), "the server")[1])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def exchange(self, *pieces: bytes) -> bytes:
        """Send the pieces, each in a segment of its own, and read until the other side closes."""
        with self.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                client.sendall(piece)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def log(self) -> list[str]:
        return LINE.findall(self.program.err)


@pytest.fixture
def server(start: Start) -> EchoServer:
    return EchoServer(start(KUMA_TCP_ECHO, "-port", "0", "-interface", "127.0.0.1"))


def read_exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = client.recv(size - len(data))
        assert chunk, f"closed after {data!r}"
        data += chunk
    return data


def test_http_gets_a_valid_answer_with_the_raw_request(server: EchoServer) -> None:
    assert server.exchange(GET) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 34\r\nConnection: close\r\n\r\n"
        + GET
    )
    assert server.log()[1:] == ["HTTP/1.1 connection: GET /path"]


def test_plain_bytes_come_back_and_the_connection_stays(server: EchoServer) -> None:
    with server.connect() as client:
        for text in (b"hi\n", b"GETTING there\n", b"\x00\xff"):
            client.sendall(text)
            assert read_exactly(client, len(text)) == text
    assert server.log()[1] == "TCP connection: [104 105 10]"


def test_a_long_text_comes_back_whole(server: EchoServer) -> None:
    text = bytes(range(256)) * 1000
    with server.connect() as client:
        client.sendall(text)
        assert read_exactly(client, len(text)) == text


def test_a_request_in_pieces_and_its_body_are_waited_for(server: EchoServer) -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000
    with server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (request[:2], request[2:9], request[9:30], request[30:100]):
            client.sendall(piece)
            nothing_comes_back(client)
        client.sendall(request[100:])
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.endswith(b"\r\n\r\n" + request)
    assert server.log()[1:] == ["HTTP/1.1 connection: POST /"]


def nothing_comes_back(client: socket.socket) -> None:
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(5)


def test_half_a_request_is_echoed_when_the_client_is_done(server: EchoServer) -> None:
    with server.connect() as client:
        client.sendall(b"GET /")
        client.shutdown(socket.SHUT_WR)
        assert read_exactly(client, 5) == b"GET /"
        assert client.recv(1) == b""


def test_half_a_request_is_echoed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_echo, "REQUEST_SECONDS", 0.05)
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5)
        there.sendall(b"more")
        assert tcp_echo._collect(there, b"GE") == b"GE"
        here.sendall(b"T")
        assert tcp_echo._collect(there, b"GE") == b"GET"


def test_head_gets_no_body(server: EchoServer) -> None:
    assert server.exchange(b"HEAD / HTTP/1.1\r\n\r\n").endswith(b"Connection: close\r\n\r\n")


def test_raw_echoes_http_byte_for_byte_and_closes(start: Start) -> None:
    server = EchoServer(start(KUMA_TCP_ECHO, "-raw", "--port=0", "-name=a"))
    assert server.exchange(GET) == GET
    with server.connect() as client:
        client.sendall(b"GET /")
        assert read_exactly(client, 5) == b"GET /"


@pytest.mark.parametrize("flag", ["-name", "--name"])
def test_a_named_instance_tells_its_name(start: Start, flag: str) -> None:
    server = EchoServer(start(KUMA_TCP_ECHO, "--port", "0", flag, "echo 1", "ignored", "words"))
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/", timeout=5) as answer:
        assert answer.headers["X-Instance"] == "echo 1"


def test_all_interfaces_include_ipv6_where_there_is_one(start: Start) -> None:
    server = EchoServer(start(KUMA_TCP_ECHO, "-port=0"))
    hosts = ["127.0.0.1", "::1"] if socket.has_dualstack_ipv6() else ["127.0.0.1"]
    for host in hosts:
        with socket.create_connection((host, server.port), timeout=5) as client:
            client.sendall(b"hi")
            assert read_exactly(client, 2) == b"hi"


def test_more_clients_than_threads_wait_for_their_turn(start: Start) -> None:
    code = "from kuma_core.dataplane import tcp_echo; tcp_echo.MOST_CONNECTIONS = 20; tcp_echo.main()"
    program = start(KUMA_TCP_ECHO.replace("kuma-tcp-echo", "python"), "-c", code, "-port=0")
    server = EchoServer(program)
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(21)]
        for client in clients[:20]:
            client.sendall(b"hi")
            assert read_exactly(client, 2) == b"hi"
        clients[20].sendall(b"hi")
        nothing_comes_back(clients[20])
        clients[0].close()
        assert read_exactly(clients[20], 2) == b"hi"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_even_under_a_client(server: EchoServer, number: int) -> None:
    with server.connect() as client:
        client.sendall(b"hi")
        assert read_exactly(client, 2) == b"hi"
        server.program.signal(number)
        assert server.program.end(5) == 0
        assert client.recv(1) == b""
    assert server.log()[1:] == ["TCP connection: [104 105]"]
    assert "Traceback" not in server.program.err


def test_a_port_in_use_is_one_sentence(start: Start, server: EchoServer) -> None:
    second = start(KUMA_TCP_ECHO, f"-port={server.port}", "-interface=127.0.0.1")
    assert second.end() == 1
    assert second.err == (
        f"Error: cannot listen on port {server.port} of 127.0.0.1: Address already in use. "
        "Name another one with -port or -interface.\n"
    )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["-x"], "unrecognized arguments: -x"),
        (["-port=http"], '"http" is not a port; use 1 to 65535, or 0 for any free port'),
        (["--port", "65536"], '"65536" is not a port'),
        (["-name=a\r\nX-Evil: 1"], "a name must consist of printable ASCII characters"),
    ],
)
def test_a_bad_flag_is_told_with_usage_on_stderr_and_2(start: Start, flags: list[str], sentence: str) -> None:
    program = start(KUMA_TCP_ECHO, *flags)
    assert program.end() == 2
    assert program.err.startswith("Error: ")
    assert sentence in program.err
    assert "usage: kuma-tcp-echo" in program.err
    assert program.out == ""


@pytest.mark.parametrize("flag", ["-h", "-help", "--help"])
def test_help_is_usage_on_stderr_and_2(start: Start, flag: str) -> None:
    program = start(KUMA_TCP_ECHO, flag)
    assert program.end() == 2
    assert program.err.startswith("usage: kuma-tcp-echo")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"G", True),
        (b"GET", True),
        (b"GET /x HTT", True),
        (b"GET /x HTTP/1.1\r\nHost", True),
        (b"HELLO", False),
        (b"GET me\n", False),
        (b"GET /x HTTP/2\r\n", False),
        (b"get /", False),
        (b"PRI * HTTP/2.0\r\n\r\n", False),
        (b"GET /" + b"x" * 65536, False),
    ],
)
def test_what_may_become_a_request(data: bytes, expected: bool) -> None:
    assert may_become_request(data) is expected


def test_a_head_that_never_ends_is_no_request() -> None:
    endless = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000
    assert parse_request(endless + b"\r\n") is None
    assert may_become_request(endless) is False
