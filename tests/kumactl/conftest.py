"""A small REST server that answers as a control plane does, and kumactl run inside this process."""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from kuma_core.commandline import exit_code
from kuma_core.kumactl import tls_pair
from kuma_core.kumactl.main import build
from kuma_core.testing.logged import logged_elsewhere


@pytest.fixture(autouse=True)
def log_elsewhere() -> Iterator[None]:
    """A control plane in this process writes its log beside what kumactl prints, not between."""
    with logged_elsewhere():
        yield


TAGS = {
    "header": "TAGS",
    "path": "networking.inbound.*.tags|networking.gateway.tags",
    "format": "tags",
    "default": "",
}


def kind(name: str, path: str, singular: str, aliases: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """One entry of ``GET /kinds``."""
    value = {"name": name, "path": path, "singular": singular, "aliases": list(aliases), "scope": "mesh"}
    return {**value, "readOnly": False, "plugin": "builtin", "columns": [], **more}


KINDS = [
    kind(
        "Mesh",
        "meshes",
        "mesh",
        scope="global",
        columns=[
            {"header": "mTLS", "path": "mtls.enabled", "format": "onOff", "default": ""},
            {"header": "CA", "path": "mtls.ca?", "format": "text", "default": "builtin"},
        ],
    ),
    kind("Dataplane", "dataplanes", "dataplane", ("dp",), columns=[TAGS]),
    kind("HealthCheck", "health-checks", "healthcheck"),
    kind("TrafficPermission", "traffic-permissions", "traffic-permission"),
    kind("DataplaneInsight", "dataplane-insights", "dataplane-insight", readOnly=True),
    kind(
        "Greeting",
        "greetings",
        "greeting",
        ("hi",),
        plugin="somebody",
        columns=[{"header": "WORDS", "path": "words", "format": "newer-than-us", "default": "-"}],
    ),
]


@dataclass
class Reply:
    """What the server says in place of its own answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class FakeServer:
    """Items by path, the requests that came, and replies that a test wants instead."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.replies: dict[tuple[str, str], Reply | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.overviews: list[dict[str, Any]] = []
        self.url = ""

    def reply(self, method: str, path: str, status: int, body: bytes | str = b"", **headers: str) -> None:
        """Answer ``method path`` so from now on."""
        data = body.encode() if isinstance(body, str) else body
        self.replies[method, path] = Reply(status, data, {k.replace("_", "-"): v for k, v in headers.items()})

    def error(self, method: str, path: str, status: int, value: dict[str, Any]) -> None:
        """Answer with an error in the JSON shape."""
        self.reply(method, path, status, json.dumps(value), Content_Type="application/json")

    def written(self) -> list[tuple[str, str]]:
        """The writes that came, in order."""
        return [(method, path) for method, path, _, _ in self.requests if method != "GET"]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        self.requests.append((handler.command, handler.path, dict(handler.headers), body))
        wanted = self.replies.get((handler.command, parts.path))
        if callable(wanted):
            return wanted(handler)
        reply = wanted or self._own(handler.command, unquote(parts.path), parts.query, body)
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(reply.body)
        return None

    def _own(self, method: str, path: str, query: str, body: bytes) -> Reply:
        if path in ("/", "/kinds"):
            return _json({"tagline": "Kuma", "version": "9.8.7"} if path == "/" else {"kinds": KINDS})
        if path.endswith("/dataplanes+insights"):
            return _json({"items": self.overviews, "asked": parse_qsl(query)})
        if method == "PUT":
            return self._put(path, json.loads(body))
        return self._get(path) if method == "GET" else self._delete(path)

    def _get(self, path: str) -> Reply:
        if path in self.items:
            return _json(self.items[path])
        collections = {k["path"] for k in KINDS}
        if path.rpartition("/")[2] in collections:
            inside = [v for k, v in self.items.items() if k.rpartition("/")[0] == path]
            return _json({"items": inside})
        return _not_found("Could not retrieve a resource")

    def _put(self, path: str, value: dict[str, Any]) -> Reply:
        before = self.items.get(path)
        self.items[path] = value
        result = "created" if before is None else "unchanged" if before == value else "updated"
        return Reply(201 if before is None else 200, b"", {"Kuma-Result": result})

    def _delete(self, path: str) -> Reply:
        if self.items.pop(path, None) is None:
            return _not_found("Could not delete a resource")
        return Reply(200, b"")


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _not_found(title: str) -> Reply:
    return _json({"title": title, "details": "Not found"}, 404)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A running server on a free port of the loopback address."""
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            fake.answer(self)

        do_GET = do_PUT = do_DELETE = _answer

        def log_message(self, format: str, *args: Any) -> None:
            return None

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{http.server_address[1]}"
    yield fake
    http.shutdown()
    http.server_close()
    thread.join()


@dataclass
class Result:
    """How a call ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory."""
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return directory


@pytest.fixture
def kumactl(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call kumactl in this process: ``kumactl("get", "meshes", stdin="…")``."""

    def call(*argv: str, stdin: str | bytes | None = None) -> Result:
        capsys.readouterr()
        with _stdin(stdin if stdin is not None else b"") as reader:
            monkeypatch.setattr("sys.stdin", reader)
            code = exit_code(build(), argv)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(code, captured.out, captured.err)

    return call


def _stdin(content: str | bytes) -> Any:
    reader, writer = os.pipe()
    data = content.encode() if isinstance(content, str) else content
    threading.Thread(target=_pour, args=(writer, data), daemon=True).start()
    return open(reader, encoding="utf-8")


def _pour(descriptor: int, data: bytes) -> None:
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except BrokenPipeError:
        return


def configure(home: Path, url: str, context: str = "") -> None:
    """Write a configuration whose one control plane is at ``url``; ``context`` is more of its YAML."""
    directory = home / ".kumactl"
    directory.mkdir(exist_ok=True)
    (directory / "config").write_text(
        f"contexts:\n- controlPlane: local\n  name: local\n{context}"
        f"controlPlanes:\n- coordinates:\n    apiServer:\n      url: {url}\n  name: local\n"
        "currentContext: local\n"
    )


@pytest.fixture
def connected(home: Path, server: FakeServer, kumactl: Call) -> Call:
    """kumactl with a configuration that names the server."""
    configure(home, server.url)
    return kumactl


@dataclass
class Certificates:
    """Pairs as ``kumactl generate tls-certificate`` makes them: of the admin server, and of its client."""

    server_key: Path
    server_cert: Path
    client_key: Path
    client_cert: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One pair for each side, made once."""
    folder = tmp_path_factory.mktemp("certificates")
    paths = Certificates(
        *(folder / f"{name}.pem" for name in ("server-key", "server", "client-key", "client"))
    )
    for key, cert, is_client in (
        (paths.server_key, paths.server_cert, False),
        (paths.client_key, paths.client_cert, True),
    ):
        hostnames = () if is_client else ("127.0.0.1",)
        tls_pair.save(tls_pair.generate(hostnames, is_client), str(key), str(cert))
    return paths


class FakeAdmin:
    """An admin server: issues tokens that can be read, and keeps one certificate for each mesh."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.replies: dict[tuple[str, str], Reply] = {}
        self.kept: dict[str, list[dict[str, str]]] = {}
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> Reply:
        """What to answer, after the request was noted."""
        length = int(handler.headers.get("Content-Length") or 0)
        text = handler.rfile.read(length)
        if text and handler.headers.get("Content-Type") != "application/json":
            return Reply(415, b"415: Unsupported Media Type")
        value = json.loads(text) if text else None
        self.requests.append((handler.command, handler.path, value))
        wanted = self.replies.get((handler.command, handler.path))
        if wanted is not None:
            return wanted
        if handler.path == "/tokens":
            return Reply(200, f"token-of-{value['name']}-in-{value['mesh']}".encode())
        return self._certificates(handler.command, handler.path, value)

    def _certificates(self, method: str, path: str, value: Any) -> Reply:
        collection, _, wanted = path.partition("/ca/provided/certificates")
        kept = self.kept.get(collection)
        if method == "POST":
            self.kept[collection] = [{"id": "1-2-3", "cert": value["cert"]}]
            return _json(self.kept[collection][0])
        if kept is None:
            return _not_found("Could not retrieve signing certs")
        if method == "DELETE":
            kept[:] = [entry for entry in kept if "/" + entry["id"] != wanted]
            return Reply(200, b"")
        return _json(kept)


def _serve_admin(tls: ssl.SSLContext | None) -> Iterator[FakeAdmin]:
    fake = FakeAdmin()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            reply = fake.answer(self)
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, format: str, *args: Any) -> None:
            return None

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            return None  # a refused handshake is what some tests want

    http = Server(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http{'s' if tls else ''}://127.0.0.1:{http.server_address[1]}"
    yield fake
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def admin() -> Iterator[FakeAdmin]:
    """The admin server as it is on loopback: plain HTTP."""
    yield from _serve_admin(None)


@pytest.fixture
def public_admin(certificates: Certificates) -> Iterator[FakeAdmin]:
    """The public admin server: HTTPS, and only for clients whose certificate it knows."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.server_cert, certificates.server_key)
    tls.load_verify_locations(certificates.client_cert)
    tls.verify_mode = ssl.CERT_REQUIRED
    yield from _serve_admin(tls)


def catalog(server: FakeServer, local: str = "", public: str = "", tokens: bool = True) -> None:
    """Have the API server's catalog lead to admin servers."""
    addresses = {"localUrl": local, "publicUrl": public}
    token = addresses if tokens else {"localUrl": "", "publicUrl": ""}
    server.reply("GET", "/catalog", 200, json.dumps({"apis": {"admin": addresses, "dataplaneToken": token}}))
