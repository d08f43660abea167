"""An API server of a few lines over TLS, which knows meshes; for speed, beside the real one."""

from __future__ import annotations

import json
import queue
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from kuma_core.kumactl.tls_pair import generate

MESHES = "/apis/kuma.io/v1alpha1/meshes"


class FakeApi:
    """Holds meshes, tells those who watch, and notes what is asked."""

    def __init__(self) -> None:
        self.meshes: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.version = {"major": "1", "minor": "37+"}
        self.is_silent = False
        """Whether changes are told to nobody."""
        self._number = 1
        self._watchers: list[queue.Queue[dict[str, Any] | None]] = []

    def put(self, name: str, **spec: Any) -> None:
        """Create or change a mesh."""
        kind = "MODIFIED" if name in self.meshes else "ADDED"
        self._number += 1
        meta = {"name": name, "resourceVersion": str(self._number)}
        self.meshes[name] = {"metadata": meta, "spec": spec}
        self._tell(kind, self.meshes[name])

    def drop(self, name: str) -> None:
        """Delete a mesh."""
        self._number += 1
        item = self.meshes.pop(name)
        self._tell("DELETED", {**item, "metadata": {"name": name, "resourceVersion": str(self._number)}})

    def end_watches(self, code: int = 0) -> None:
        """End each watch, with an error if there is a code."""
        for watcher in self._watchers:
            if code:
                watcher.put({"type": "ERROR", "object": {"code": code, "message": "too old"}})
            watcher.put(None)

    def _tell(self, kind: str, item: dict[str, Any]) -> None:
        if not self.is_silent:
            for watcher in self._watchers:
                watcher.put({"type": kind, "object": item})

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """What a GET without a watch gets."""
        if path == "/version":
            return 200, self.version
        if path == MESHES:
            return 200, {
                "metadata": {"resourceVersion": str(self._number)},
                "items": list(self.meshes.values()),
            }
        name = path.removeprefix(f"{MESHES}/")
        if name in self.meshes:
            return 200, self.meshes[name]
        return 404, {"kind": "Status", "message": f'meshes.kuma.io "{name}" not found'}

    def events(self) -> Iterator[bytes]:
        """The lines of one watch."""
        mine: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._watchers.append(mine)
        while (event := mine.get()) is not None:
            yield json.dumps(event).encode() + b"\n"


def _handler(api: FakeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.asked.append(self.path)
            assert self.headers["Authorization"] == "Bearer secret"
            if "watch=1" in self.path:
                self.send_response(200)
                self.end_headers()
                for line in api.events():
                    self.wfile.write(line)
                return
            code, found = api.answer(self.path)
            body = json.dumps(found).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def write_pair(folder: Path, host: str = "localhost") -> str:
    """A certificate of its own in ``tls.crt`` and ``tls.key``; gives the certificate."""
    made = generate([host], is_client=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tls.key").write_bytes(made.key)
    (folder / "tls.crt").write_bytes(made.cert)
    return made.cert.decode()


@contextmanager
def serving(folder: Path) -> Iterator[tuple[FakeApi, Path]]:
    """One that is served, and the kubeconfig that leads to it."""
    api = FakeApi()
    write_pair(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(f"https://localhost:{server.server_port}")))
    try:
        yield api, kubeconfig
    finally:
        api.end_watches()
        server.shutdown()
        thread.join()
        server.server_close()


def _kubeconfig(url: str) -> dict[str, Any]:
    return {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": "tls.crt"}}],
        "users": [{"name": "test", "user": {"token": "secret"}}],
    }
