"""``docs/reference/listeners.md``: every listener is asked as the page says, with and without what it asks for."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

import kuma_ca_builtin
import kuma_gui
import kuma_runtime_k8s
import kuma_store_memory
from kuma_core.kumactl.tls_pair import generate, save
from kuma_core.plugin.contract import EVERYTHING, NOTHING, TO_READ, Server
from kuma_core.runtime.listening import Listening
from kuma_core.runtime.proxy_servers import ROOTS
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.kubernetes import NoApi, way_to
from kuma_core.testing.listeners import registered
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port

from .support import NODE, SDS, SOTW, ask_mesh_ca, ask_sotw, stream
from .tls import Pair, trusting

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "listeners.md").read_text(encoding="utf-8")
NAME, PORT, ADDRESSES, TLS, ASKS_FOR, STRANGERS, WEB_PAGES, BODY = range(8)
ROWS = {
    cells[NAME]: cells
    for line in PAGE.splitlines()
    if line.startswith("| ") and len(cells := [cell.strip() for cell in line.split("|")[1:-1]]) == 8
    if cells[NAME] != "server"
}
ORIGIN = "http://elsewhere.example.com"
HIDDEN_MESH = {"type": "Mesh", "name": "made-by-a-stranger"}


@dataclass(frozen=True)
class Wanted:
    """A request that shows what there is behind an HTTP listener."""

    method: str
    path: str
    body: Any = None
    endless: bool = False

    @property
    def changes(self) -> bool:
        """Whether a browser asks first."""
        return self.method == "PUT"


BEHIND = {
    "api-server": Wanted("PUT", "/meshes/made-by-a-stranger", HIDDEN_MESH),
    "api-server-https": Wanted("PUT", "/meshes/made-by-a-stranger", HIDDEN_MESH),
    "admin-server": Wanted("POST", "/tokens", {"name": "web-1", "mesh": "default"}),
    "admin-socket": Wanted("POST", "/secrets/export", {"passphrase": "correct horse battery"}),
    "public-admin-server": Wanted("POST", "/tokens", {"name": "web-1", "mesh": "default"}),
    "bootstrap-server": Wanted("POST", "/bootstrap", {"name": "web-1", "mesh": "default"}),
    "diagnostics-server": Wanted("GET", "/metrics"),
    "events-server": Wanted("GET", "/events", endless=True),
    "gui-server": Wanted("GET", "/api/meshes"),
    "admission-server": Wanted(
        "POST",
        "/validate-kuma-io-v1alpha1",
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1"}},
    ),
}
ON_KUBERNETES = ["admission-server"]
SOCKETS = ["admin-socket"]
FROM_ELSEWHERE = {"Via": "1.1 elsewhere"}
"""We are of this machine; what was passed on is not."""
REST = ("api-server", "api-server-https")
STREAMS = {"xds-server": (SOTW, ask_sotw), "sds-server": (SDS, ask_mesh_ca)}


@dataclass
class Everything:
    """Control planes with every listener, and a client's certificate that the first knows."""

    cp: RunningPlatform
    alice: Pair
    on_kubernetes: RunningPlatform

    def port(self, name: str) -> int:
        cp = self.on_kubernetes if name in ON_KUBERNETES else self.cp
        return cp.platform.config.number(ROWS[name][PORT].split("`")[1])

    def ask(self, name: str, wanted: Wanted, shown: bool = False, **headers: str) -> http.client.HTTPResponse:
        """The answer to a request; a certificate is shown where that is asked for."""
        if name in SOCKETS:
            return _answer(_OverSocket(self.cp.admin_socket), wanted, headers)
        place = ("127.0.0.1", self.port(name))
        tls = trusting(self.alice if shown else None) if ROWS[name][TLS] == "yes" else None
        connection = (
            http.client.HTTPSConnection(*place, timeout=10, context=tls)
            if tls
            else http.client.HTTPConnection(*place, timeout=10)
        )
        return _answer(connection, wanted, headers)


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self._path)


def _answer(
    connection: http.client.HTTPConnection, wanted: Wanted, headers: dict[str, str]
) -> http.client.HTTPResponse:
    body = None if wanted.body is None else json.dumps(wanted.body)
    try:
        connection.request(wanted.method, wanted.path, body, {"Content-Type": "application/json"} | headers)
        answer = connection.getresponse()
        if "event-stream" not in answer.headers.get("Content-Type", ""):  # which has no end
            answer.read()
    finally:
        connection.close()
    return answer


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    folder = tmp_path_factory.mktemp("listeners")
    (folder / "clients").mkdir()
    for name, hosts in (("server", ["127.0.0.1"]), ("clients/alice", [])):
        save(
            generate(hosts, not hosts),
            str(folder / f"{name.split('/')[-1]}-key.pem"),
            str(folder / f"{name}.pem"),
        )
    public = {
        "ENABLED": "true",
        "INTERFACE": "127.0.0.1",
        "PORT": str(free_port()),
        "TLS_CERT_FILE": str(folder / "server.pem"),
        "TLS_KEY_FILE": str(folder / "server-key.pem"),
        "CLIENT_CERTS_DIR": str(folder / "clients"),
    }
    settings = {f"KUMA_ADMIN_SERVER_PUBLIC_{name}": value for name, value in public.items()}
    with running_platform([kuma_store_memory, kuma_ca_builtin, kuma_gui], settings) as cp:
        cp.apply(mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}}))
        cp.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        with _on_kubernetes(folder) as other:
            yield Everything(cp, Pair(folder / "clients/alice.pem", folder / "alice-key.pem"), other)


@contextmanager
def _on_kubernetes(folder: Path) -> Iterator[RunningPlatform]:
    (folder / "tls.crt").write_bytes((folder / "server.pem").read_bytes())
    (folder / "tls.key").write_bytes((folder / "server-key.pem").read_bytes())
    server = {"ADDRESS": "127.0.0.1", "PORT": str(free_port()), "CERT_DIR": str(folder)}
    settings = {f"KUMA_KUBERNETES_ADMISSION_SERVER_{name}": value for name, value in server.items()}
    plugins = [kuma_store_memory, kuma_ca_builtin, way_to(NoApi()), kuma_runtime_k8s]
    with running_platform(plugins, {"KUMA_ENVIRONMENT": "kubernetes", **settings}) as cp:
        yield cp


def test_every_listener_has_a_row_and_a_request() -> None:
    names = [server.name for _, server in registered()]
    assert sorted(ROWS) == sorted(names) == sorted([*BEHIND, *STREAMS])


def test_the_rows_are_what_listens(everything: Everything) -> None:
    """What a control plane opens is what is registered: the page is made from that."""
    opened = [item.name for item, _ in _bound(everything.cp)]
    more = [item.name for item, _ in _bound(everything.on_kubernetes) if item.name not in opened]
    assert more == ON_KUBERNETES
    opened += more
    assert sorted(opened) == sorted(ROWS)


def _bound(cp: RunningPlatform) -> list[tuple[Server, socket.socket | None]]:
    listening: Listening = cp.platform.listening
    return listening.bound


# -- without a credential


@pytest.mark.parametrize("name", BEHIND)
def test_what_strangers_get_over_http(everything: Everything, name: str) -> None:
    try:
        headers = FROM_ELSEWHERE if name in REST else {}
        served = everything.ask(name, BEHIND[name], **headers).status in (200, 201)
        if name in SOCKETS:  # we are its user, and others are whom its mode lets in: test_admin_socket.py
            served = bool(os.stat(everything.cp.admin_socket).st_mode & 0o077)
    except (ssl.SSLError, ConnectionError):
        served = False
    if name in REST and not served:
        reads = everything.ask(name, Wanted("GET", "/meshes"), **FROM_ELSEWHERE).status == 200
        assert (TO_READ if reads else NOTHING) == ROWS[name][STRANGERS]
        return
    assert (EVERYTHING if served else NOTHING) == ROWS[name][STRANGERS].split(",")[0]


@pytest.mark.parametrize("name", STREAMS)
def test_what_strangers_get_over_grpc(everything: Everything, name: str) -> None:
    method, ask = STREAMS[name]
    with stream(everything.cp, method) as opened:
        ask(opened)
        try:
            given = ROOTS if opened.receive() else NOTHING
        except grpc.RpcError:
            given = NOTHING
    assert given == ROWS[name][STRANGERS]
    with stream(everything.cp, SDS) as opened:
        opened.ask("identity_cert", node=NODE)
        with pytest.raises(grpc.RpcError, match="could not parse token"):
            opened.receive()


# -- with what is asked for


@pytest.mark.parametrize("name", BEHIND)
def test_everything_is_behind_what_is_asked_for(everything: Everything, name: str) -> None:
    assert ROWS[name][ASKS_FOR].split(",")[0] in (
        "nothing",
        "a user's token",
        "a client certificate",
        "access to the socket (0600)",
    )
    headers = {}
    if name in REST:
        token = everything.cp.user_token("ann", "kuma:admin")
        headers = {**FROM_ELSEWHERE, "Authorization": f"Bearer {token}"}
    assert everything.ask(name, BEHIND[name], shown=True, **headers).status in (200, 201)


@pytest.mark.parametrize("name", STREAMS)
def test_everything_is_behind_a_token(everything: Everything, name: str) -> None:
    method, ask = STREAMS[name]
    assert ROWS[name][ASKS_FOR] == "a credential of the kind dataplane-token"
    with stream(everything.cp, method, everything.cp.token("web-1")) as opened:
        ask(opened)
        assert opened.receive()


# -- as a web page


@pytest.mark.parametrize("name", BEHIND)
def test_what_web_pages_get(everything: Everything, name: str) -> None:
    """As a browser does: it asks before it changes anything, and shows a page no answer that does not name it."""
    wanted, headers = BEHIND[name], {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}
    allowed = True
    if wanted.changes:
        asked = {"Access-Control-Request-Method": wanted.method}
        preflight = everything.ask(name, Wanted("OPTIONS", wanted.path), True, **headers, **asked)
        allowed = wanted.method in preflight.headers.get("Access-Control-Allow-Methods", "")
    if allowed:
        answer = everything.ask(name, wanted, True, **headers)
        allowed = answer.status in (200, 201) and "Access-Control-Allow-Origin" in answer.headers
    if not allowed and wanted.changes:
        reads = everything.ask(name, Wanted("GET", "/meshes"), True, **headers)
        assert ROWS[name][WEB_PAGES] == (
            TO_READ if "Access-Control-Allow-Origin" in reads.headers else NOTHING
        )
        return
    assert ROWS[name][WEB_PAGES] == (EVERYTHING if allowed else NOTHING)


@pytest.mark.parametrize("name", STREAMS)
def test_web_pages_speak_no_grpc(everything: Everything, name: str) -> None:
    """A browser sends gRPC's requests over no HTTP/1.1, and asks first over HTTP/2: there is no CORS here."""
    assert ROWS[name][WEB_PAGES] == NOTHING
    with pytest.raises((OSError, http.client.HTTPException)):
        everything.ask(name, Wanted("OPTIONS", f"/{SOTW}"), Origin=ORIGIN)


def test_large_bodies_are_refused_by_every_http_listener(everything: Everything) -> None:
    for name in BEHIND:
        size = int(ROWS[name][BODY])
        if size <= 2**20 and not BEHIND[name].endless:
            answer = everything.ask(name, Wanted("PUT", "/meshes/x", "x" * size))
            assert answer.status == 413, name
