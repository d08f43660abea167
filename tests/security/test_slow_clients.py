"""1 005 clients without a credential that are slow at one HTTP port: everybody else is served meanwhile.

Before there were bounds, the port answered nobody for as long as they wanted, and memory grew by what they sent.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.runtime.descriptors import KEPT_BACK
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import own_ports
from kuma_core.testing.waiting import eventually

from ..api.support import send
from ..end_to_end.support import BIN, fetch, start
from .crowd import BLANK, BODY, CHUNKS, HEAD, SILENT, Slow, crowd, get, memory

DOORS = {
    "API_SERVER_PORT": "/meshes",
    "BOOTSTRAP_SERVER_PORT": "/nothing-here",
    "ADMIN_SERVER_LOCAL_PORT": "/nothing-here",
    "XDS_SERVER_DIAGNOSTICS_PORT": "/metrics",
}
SECONDS, MOST_MB = 1.0, 60
PROBES = 8
NOT_CROWDED = ("XDS_SERVER_DIAGNOSTICS_PORT", "GUI_SERVER_PORT")
"""Whom the probes ask, and a port on which nobody listens here."""
FILES = 160
"""As few as a control plane can start with."""


class Process:
    """A kuma-cp on ports of its own; ``files`` is how many descriptors it may have."""

    def __init__(self, folder: Path, stack: ExitStack, files: int = 0) -> None:
        self.ports = own_ports()
        self.log = folder / "kuma-cp.log"
        environ = {f"KUMA_{name}": str(port) for name, port in self.ports.items()}
        environ |= {"KUMA_API_SERVER_INTERFACE": "127.0.0.1", "KUMA_PLUGINS": "store_memory"}
        command = [str(BIN / "kuma-cp"), "run"]
        if files:
            command = ["sh", "-c", f'ulimit -n {files}; exec "$0" "$@"', *command]
        self.process: subprocess.Popen[bytes] = start(command, self.log, stack, env={**os.environ, **environ})
        eventually(self.ready, what="a ready control plane")

    def ready(self) -> bool:
        return fetch(self.ports["XDS_SERVER_DIAGNOSTICS_PORT"], "/ready") == ""

    def asked(self, door: str, path: str) -> float:
        """How long an answer takes, in seconds; fails if there is none."""
        began = time.monotonic()
        assert send(self.ports[door], "GET", path).status in (200, 404)
        return time.monotonic() - began

    def apply(self, path: str, document: object) -> None:
        body = json.dumps(document).encode()
        assert send(self.ports["API_SERVER_PORT"], "PUT", path, body).status in (200, 201)


@pytest.fixture(scope="module")
def cp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with ExitStack() as stack:
        running = Process(tmp_path_factory.mktemp("slow"), stack)
        yield running
        assert "Traceback" not in running.log.read_text()


def answers_quickly(cp: Process, door: str, path: str) -> None:
    """A few requests, and whether it is alive, each within a second; a busy machine may be late once."""
    took = []
    for _ in range(PROBES):
        took.append((cp.asked(door, path), cp.asked("XDS_SERVER_DIAGNOSTICS_PORT", "/healthy")))
        time.sleep(0.1)
    for found in zip(*took, strict=True):
        assert sorted(found)[-2] < SECONDS, took


@pytest.mark.parametrize("door", DOORS)
def test_others_are_served_while_1005_clients_are_slow(cp: Process, door: str) -> None:
    before = memory(cp.process.pid)
    with crowd(cp.ports[door], HEAD, BODY, CHUNKS, BLANK, SILENT, get(DOORS[door])) as slow:
        answers_quickly(cp, door, DOORS[door])
        assert sum(client is not None for client in slow.clients) > 1000
    assert memory(cp.process.pid) - before < MOST_MB


@pytest.mark.parametrize("door", ["API_SERVER_PORT", "ADMIN_SERVER_LOCAL_PORT"])
def test_bodies_that_never_end_fill_no_memory(cp: Process, door: str) -> None:
    """A quarter of a GB of them."""
    head = b"PUT /meshes/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
    before = memory(cp.process.pid)
    with crowd(cp.ports[door], Slow(head + b" " * 800_000, b" "), size=300):
        answers_quickly(cp, door, DOORS[door])
    assert memory(cp.process.pid) - before < MOST_MB


def test_long_lists_that_nobody_reads_fill_no_memory(cp: Process) -> None:
    """100 clients ask for 5 MB each: what the kernel does not take waits packed."""
    outbounds = [outbound(f":{3000 + n}", f"a-service-with-a-long-name-{n}") for n in range(60)]
    cp.apply("/meshes/default", {"type": "Mesh", "name": "default"})
    for number in range(1000):
        item = dataplane(f"web-{number}", inbound("10.0.0.1:80:80", "web"), outbounds=outbounds)
        cp.apply(f"/meshes/default/dataplanes/web-{number}", item)
    path = "/meshes/default/dataplanes"
    whole = send(cp.ports["API_SERVER_PORT"], "GET", path)
    assert int(whole.headers["Content-Length"]) == len(whole.body) > 4_000_000
    before = memory(cp.process.pid)
    with crowd(cp.ports["API_SERVER_PORT"], get(path), size=100):
        answers_quickly(cp, "API_SERVER_PORT", "/meshes/default")
        eventually(lambda: send(cp.ports["API_SERVER_PORT"], "GET", path).body == whole.body)
    assert memory(cp.process.pid) - before < MOST_MB


def test_it_tells_that_it_is_alive_without_a_free_descriptor(tmp_path: Path) -> None:
    """Silent clients of all other ports have them all; the log says so once, and not in tracebacks."""
    with ExitStack() as stack:
        cp = Process(tmp_path, stack, files=FILES)
        for name, port in cp.ports.items():
            for _ in range(0 if name in NOT_CROWDED else 100):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        limit = FILES - KEPT_BACK
        eventually(lambda: len(os.listdir(f"/proc/{cp.process.pid}/fd")) >= limit, what="no free descriptor")
        with crowd(cp.ports["API_SERVER_PORT"], HEAD, size=50):
            for _ in range(PROBES):
                assert cp.asked("XDS_SERVER_DIAGNOSTICS_PORT", "/healthy") < SECONDS
                time.sleep(0.2)
        log = cp.log.read_text()
    ours = [line for line in log.splitlines() if "no descriptor is left" in line]
    assert len(ours) <= len(DOORS), ours
    assert "Traceback" not in log
