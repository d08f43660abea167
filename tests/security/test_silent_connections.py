"""Connections that say nothing, and as many as the system has files: they end, and cost lines of the log seldom."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from kuma_core.runtime import descriptors
from kuma_core.runtime.open_files import most_connections
from kuma_core.testing.waiting import eventually

from ..chaos.support import ControlPlane

FILES = 160
"""As few as a control plane can start with."""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def started(folder: Path, stack: ExitStack) -> ControlPlane:
    cp = ControlPlane(folder, stack, {"KUMA_STORE_TYPE": "memory"})
    cp.start(before=f"ulimit -n {FILES}")
    return cp


def connect(stack: ExitStack, port: int, count: int) -> list[socket.socket]:
    found = []
    for _ in range(count):
        found.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)))
    return found


def has_ended(connection: socket.socket) -> bool:
    """Whether the other end has closed it; what it sent before is passed over."""
    connection.settimeout(0)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def test_more_connections_than_files_leave_the_others_served_and_the_log_short(
    tmp_path: Path, stack: ExitStack
) -> None:
    cp = started(tmp_path, stack)
    before = cp.log.stat().st_size
    for port in ("XDS_SERVER_GRPC_PORT", "SDS_SERVER_GRPC_PORT"):
        connect(stack, cp.ports[port], FILES)
    assert cp.process is not None
    files = psutil.Process(cp.process.pid).num_fds
    eventually(lambda: files() > FILES // 3, what="connections that are open")
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        assert cp.request("GET", "/meshes").status == 200
    assert files() < FILES
    written = cp.log.read_text()[before:]
    assert len(written) < 10_000, written[-2000:]
    assert "Traceback" not in written


def test_a_handshake_that_does_not_begin_ends_and_so_does_one_without_a_stream(
    tmp_path: Path, stack: ExitStack
) -> None:
    cp = started(tmp_path, stack)
    (silent,) = connect(stack, cp.ports["XDS_SERVER_GRPC_PORT"], 1)
    began = time.monotonic()
    eventually(lambda: has_ended(silent), 20, "the end of a silent connection")
    assert 2 < time.monotonic() - began < 12


@pytest.mark.chaos
def test_a_connection_without_a_stream_ends(tmp_path: Path, stack: ExitStack) -> None:
    cp = started(tmp_path, stack)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    (plain,) = connect(stack, cp.ports["SDS_SERVER_GRPC_PORT"], 1)
    idle = stack.enter_context(context.wrap_socket(plain))
    idle.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    began = time.monotonic()

    def ended() -> bool:
        idle.settimeout(0.1)
        try:
            return not idle.recv(4096)
        except TimeoutError:
            return False
        except OSError:
            return True

    eventually(ended, 60, "the end of a connection without a stream")
    assert 20 < time.monotonic() - began < 45


@pytest.mark.parametrize(
    ("limit", "each"), [(1_048_576, 20_000), (-1, 20_000), (20_000, 5904), (1024, 171), (2, 1)]
)
def test_connections_leave_files_for_the_rest(monkeypatch: pytest.MonkeyPatch, limit: int, each: int) -> None:
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda _: (limit, limit))
    assert most_connections(2) == each
