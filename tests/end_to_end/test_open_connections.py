"""What becomes of connections that are open when nobody may open them any more."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.platform import running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import Machine
from .test_mtls import SETTINGS, encrypt, permit
from .test_traffic import client

DRAIN_SECONDS = 6
"""How long Envoy lets old connections live; kuma-dp's default of 30 s is what the scenario tells of."""


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def echoing() -> Iterator[int]:
    """A service that answers with what it gets, for as long as its client likes; yields its port."""
    with _Server(("127.0.0.1", free_port()), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(timeout=5)


def echoes(connection: socket.socket) -> bool:
    """Whether a word comes back; false once the other end closed."""
    try:
        connection.sendall(b"ping")
        return connection.recv(4) == b"ping"
    except ConnectionError:
        return False


def opened(port: int, stack: ExitStack) -> socket.socket:
    """A connection that echoes; raises ``OSError`` if it is denied."""
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
    if not echoes(connection):
        raise OSError("denied")
    return connection


def denied(port: int) -> bool:
    with ExitStack() as stack:
        try:
            opened(port, stack)
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    plugins = [kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin]
    with running_platform(plugins, SETTINGS) as cp, ExitStack() as stack:
        yield Machine(cp, tmp_path, stack)


def test_scenario_34_a_withdrawn_permission_ends_open_connections_with_the_drain_time(
    machine: Machine,
) -> None:
    port = free_port()
    machine.drain_seconds = DRAIN_SECONDS
    encrypt(machine)
    permit(machine, "p", "web", "ledger")
    with echoing() as workload, ExitStack() as stack:
        ledger = dataplane("ledger-1", inbound(f"127.0.0.1:{free_port()}:{workload}", "ledger"))
        machine.cp.apply(ledger, client("web", outbound(f":{port}", "ledger")))
        machine.sidecar("ledger-1")
        machine.sidecar("web")
        connection = eventually(lambda: opened(port, stack))
        machine.cp.delete("/meshes/default/traffic-permissions/p")
        began = time.monotonic()
        eventually(lambda: denied(port), 3, "a new connection that is denied")
        assert echoes(connection), "it was let in before"
        eventually(lambda: not echoes(connection), 2.5 * DRAIN_SECONDS, "the end of the old connection")
        assert time.monotonic() - began > 0.8 * DRAIN_SECONDS
