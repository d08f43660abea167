"""Real Envoys, real kuma-dp and small services on loopback."""

from __future__ import annotations

import http.client
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kuma_core.builtin.presence.contract import Presence
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

BIN = Path(sys.executable).parent


class _Service(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def service(name: str) -> Iterator[int]:
    """An HTTP service that answers every request with its name; yields its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(10)
            data = b""
            while b"\r\n\r\n" not in data:
                chunk = self.request.recv(4096)
                if not chunk:
                    return
                data += chunk
            body = name.encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            self.request.sendall(head.encode() + body)

    port = free_port()
    with _Service(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield port
        finally:
            server.shutdown()
            thread.join(timeout=5)


def fetch(port: int, path: str = "/", timeout: float = 5.0, host: str = "127.0.0.1") -> str:
    """The body of a GET on loopback; raises ``OSError`` for anything that is not a 200."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
    except http.client.HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"status {response.status}: {body[:200]}")
    return body


class Sidecar:
    """A kuma-dp process and the Envoy that it runs."""

    def __init__(self, process: subprocess.Popen[bytes], admin_port: int, log: Path) -> None:
        self.process = process
        self.admin_port = admin_port
        self.log = log

    def is_live(self) -> bool:
        """Whether Envoy has everything that it waited for at start."""
        if self.process.poll() is not None:
            raise RuntimeError(f"kuma-dp has ended: {self.log.read_text()[-3000:]}")
        return fetch(self.admin_port, "/ready").strip() == "LIVE"

    def stat(self, name: str) -> int:
        """One of Envoy's counters or gauges; 0 if it is not there."""
        for line in fetch(self.admin_port, f"/stats?filter=^{name}$").splitlines():
            return int(line.rpartition(": ")[2])
        return 0

    def config(self) -> dict[str, Any]:
        """Envoy's own view of its configuration, endpoints included, by section."""
        dump = json.loads(fetch(self.admin_port, "/config_dump?include_eds", timeout=30))
        return {item["@type"].rpartition(".")[2]: item for item in dump["configs"]}

    def listeners(self) -> set[str]:
        """The names of the active listeners."""
        found = self.config().get("ListenersConfigDump", {}).get("dynamic_listeners", [])
        return {item["name"] for item in found if "active_state" in item}

    def clusters(self) -> dict[str, Any]:
        """The active clusters that came over ADS, by name."""
        found = self.config().get("ClustersConfigDump", {}).get("dynamic_active_clusters", [])
        return {item["cluster"]["name"]: item["cluster"] for item in found}

    def endpoints(self) -> dict[str, list[tuple[str, int]]]:
        """The endpoints that came over ADS, by cluster."""
        found = self.config().get("EndpointsConfigDump", {}).get("dynamic_endpoint_configs", [])
        return {
            item["endpoint_config"]["cluster_name"]: _addresses(item["endpoint_config"]) for item in found
        }


def _addresses(assignment: dict[str, Any]) -> list[tuple[str, int]]:
    return [
        (address["address"], address["port_value"])
        for locality in assignment.get("endpoints", [])
        for item in locality.get("lb_endpoints", [])
        for address in [item["endpoint"]["address"]["socket_address"]]
    ]


class Machine:
    """Starts services and sidecars for one test, and ends all of them."""

    def __init__(self, cp: RunningPlatform, folder: Path, stack: ExitStack) -> None:
        self.cp = cp
        self._folder = folder
        self._stack = stack
        self.drain_seconds = 30
        self.kuma_dp = [str(BIN / "kuma-dp")]

    def say_serving(self, *names: str, mesh: str = "default") -> None:
        """Say of Dataplanes behind which no sidecar is that they serve, so that others call them."""
        for name in names:
            self.cp.offer("builtin.presence", Presence).set_serving(mesh, name, True)

    def service(self, name: str) -> int:
        """Run a service; returns its port."""
        return self._stack.enter_context(service(name))

    def sidecar(
        self,
        name: str,
        mesh: str = "default",
        wait: bool = True,
        api_url: str = "",
        token_text: str = "",
        admin: tuple[str, int] | None = None,
    ) -> Sidecar:
        """Run kuma-dp for a Dataplane, with its token unless another is given; by default wait until its
        Envoy is live. ``admin`` is an ``--admin-port`` and the port that is expected of it."""
        admin_text, admin_port = admin or (str(port := free_port()), port)
        log = self._folder / f"{name}-{time.monotonic_ns()}.log"
        api_url = api_url or self.cp.api_url
        token = token_text or dataplane_token(api_url, name, mesh)
        command = [
            *self.kuma_dp,
            "run",
            f"--name={name}",
            f"--mesh={mesh}",
            f"--cp-address={api_url}",
            f"--admin-port={admin_text}",
        ]
        if token:
            file = self._folder / f"{mesh}-{name}-token"
            file.write_text(token)
            command.append(f"--dataplane-token-file={file}")
        environ = {**os.environ, "KUMA_DATAPLANE_DRAIN_TIME": f"{self.drain_seconds}s"}
        process = start(command, log, self._stack, env=environ)
        sidecar = Sidecar(process, admin_port, log)
        if wait:
            eventually(sidecar.is_live, 60, f"a live Envoy for {name}")
        return sidecar


def dataplane_token(api_url: str, name: str, mesh: str) -> str:
    """A token from the admin server that the catalog of a control plane names; empty if none is issued."""
    with urllib.request.urlopen(f"{api_url}/catalog", timeout=10) as response:
        url = json.load(response)["apis"]["dataplaneToken"]["localUrl"]
    if not url:
        return ""
    request = urllib.request.Request(
        f"{url}/tokens",
        json.dumps({"name": name, "mesh": mesh}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


def start(command: list[str], log: Path, stack: ExitStack, **options: Any) -> subprocess.Popen[bytes]:
    """Run a program whose output goes to a file; it is ended, by its id, with the test."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
    stack.callback(end, process)
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and make it end."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


class Load:
    """A client that sends requests one after the other and counts who answered, and what failed."""

    def __init__(self, port: int, pause: float = 0.005) -> None:
        self.answers: Counter[str] = Counter()
        self.last_answer: dict[str, float] = {}
        self.failures: list[str] = []
        self._latest: deque[str] = deque(maxlen=1000)
        self._port, self._pause = port, pause
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stopped.wait(self._pause):
            try:
                name = fetch(self._port)
                self.answers[name] += 1
                self.last_answer[name] = time.monotonic()
                self._latest.append(name)
            except OSError as error:
                self.failures.append(f"{type(error).__name__}: {error}")

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=10)

    def quiet_for(self, name: str, answers: int) -> bool:
        """Whether none of the last so many answers came from ``name``."""
        latest = list(self._latest)[-answers:]
        return len(latest) == answers and name not in latest
