"""What the tests of this room share: a control plane of a few lines, and programs whose output is kept."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
KUMA_DP = str(BIN / "kuma-dp")
KUMA_TCP_ECHO = str(BIN / "kuma-tcp-echo")
REAL_ENVOY = str(BIN / "envoy")
WITHOUT_ENVOY = "Envoy is not installed beside Python"

SERVICE = """\
  clusters:
  - name: service
    connect_timeout: 1s
    type: STATIC
    load_assignment:
      cluster_name: service
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {service}}}}}}}
"""
"""The end of a bootstrap of a test's own: the cluster of the service at a port."""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Ask until the answer is true, and give it; fail with ``what`` after the deadline."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)
    return answer


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead but not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class FakeControlPlane:
    """Answers ``/catalog`` and ``/bootstrap`` with what a test puts into its attributes."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.catalog: tuple[int, bytes] | None = None
        self.bootstrap = (200, b"node:\n  id: default.web-1\n")
        self.token_url = ""
        self.serving: tuple[int, bytes] = (200, b'{"serving": false, "pending": 0}')
        self.delays: list[float] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def _handler(outer) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(*(outer.catalog or (200, outer.default_catalog())))

            def do_POST(self) -> None:
                self._answer(*(outer.serving if self.path == "/serving" else outer.bootstrap))

            def _answer(self, status: int, body: bytes) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append((self.command, self.path, content))
                time.sleep(outer.delays.pop(0) if outer.delays else 0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(BrokenPipeError):  # who asked does not wait any longer
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def default_catalog(self) -> bytes:
        apis = {"bootstrap": {"url": self.url + "/other"}, "dataplaneToken": {"localUrl": self.token_url}}
        return json.dumps({"apis": apis}).encode()

    def asked_bootstrap(self) -> dict[str, Any]:
        """The one bootstrap request that came."""
        [body] = [body for method, path, body in self.requests if (method, path) == ("POST", "/bootstrap")]
        return json.loads(body)

    def told(self) -> list[dict[str, Any]]:
        """What was said of who serves, in the order in which it came."""
        return [json.loads(body) for _, path, body in self.requests if path == "/serving"]

    def token_copy(self, envoy: int) -> Path:
        """The file of the token that was announced, as the Envoy of this process id finds it."""
        path = self.asked_bootstrap()["dataplaneTokenPath"]
        assert path.startswith("/proc/self/fd/")
        return Path(path.replace("self", str(envoy), 1)).resolve(strict=True)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Program:
    """A started program; its output goes into files."""

    def __init__(self, command: list[str], directory: Path, env: dict[str, str]) -> None:
        number = len(list(directory.glob("*.err")))
        self._out, self._err = directory / f"{number}.out", directory / f"{number}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                env=env,
                cwd=directory,
                process_group=0,
            )
        self.pid = self.process.pid

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def end(self, seconds: float = 20.0) -> int:
        """Wait for the end and give the exit code."""
        return self.process.wait(seconds)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """What a terminal does: everything that the program started gets the signal, too."""
        os.killpg(self.pid, signal.SIGINT)
