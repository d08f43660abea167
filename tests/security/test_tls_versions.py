"""Every listener of the control plane: whether it speaks TLS, and then 1.2 or newer and nothing else."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import psutil
import pytest

import kuma_ca_builtin
import kuma_gui
import kuma_store_memory
from kuma_ca_builtin.root import new_root
from kuma_core.kumactl.tls_pair import generate
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port

from .tls import NAMES, NEW, OLD, Pair, handshake, is_refusal, only, speaks_to_itself, trusting, write_pair

ENCRYPTED = (
    "sdsServer.grpcPort",
    "xdsServer.grpcPort",
    "adminServer.public.port",
    "apiServer.https.port",
)
PLAIN = (
    "adminServer.local.port",
    "apiServer.port",
    "bootstrapServer.port",
    "eventsServer.port",
    "guiServer.port",
    "xdsServer.diagnosticsPort",
)
"""What listens without TLS; docs/how-to/secure.md says who may reach it."""

listeners = pytest.mark.parametrize("listener", ENCRYPTED)


class Scanned:
    """A control plane with everything that can listen, and a client that its public admin server knows."""

    def __init__(self, cp: RunningPlatform, client: Pair, own: set[int]) -> None:
        self.cp, self._client, self._own = cp, client, own

    def port(self, listener: str) -> int:
        """Where it listens."""
        return self.cp.platform.config.number(listener)

    def client(self) -> ssl.SSLContext:
        """TLS that gets through every handshake."""
        return trusting(self._client, "h2")

    def listening(self) -> set[int]:
        """The ports of the control plane, by what the system tells of this process."""
        return listening() - self._own


def listening() -> set[int]:
    found = psutil.Process().net_connections(kind="tcp")
    return {item.laddr.port for item in found if item.status == psutil.CONN_LISTEN}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    folder, clients = tmp_path_factory.mktemp("tls"), tmp_path_factory.mktemp("clients")
    made = {name: generate(["127.0.0.1"], is_client=name == "client") for name in ("server", "client")}
    server, client = (write_pair(folder, name, pair.cert, pair.key) for name, pair in made.items())
    (clients / "client.pem").write_bytes(made["client"].cert)
    said = {
        "ENABLED": "true",
        "INTERFACE": "127.0.0.1",
        "PORT": str(free_port()),
        "TLS_CERT_FILE": str(server.cert),
        "TLS_KEY_FILE": str(server.key),
        "CLIENT_CERTS_DIR": str(clients),
    }
    settings = {f"KUMA_ADMIN_SERVER_PUBLIC_{name}": value for name, value in said.items()}
    own = listening()
    with running_platform([kuma_store_memory, kuma_ca_builtin, kuma_gui], settings) as platform:
        yield Scanned(platform, client, own)


@pytest.fixture(scope="module", params=OLD, ids=NAMES.get)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ssl.TLSVersion:
    """An old version, which the local OpenSSL speaks with itself: else a refusal would mean nothing."""
    version: ssl.TLSVersion = request.param
    said = speaks_to_itself(version, write_pair(tmp_path_factory.mktemp("old"), "old", *new_root("old")))
    if said != NAMES[version]:
        pytest.skip(f"the OpenSSL of this machine does not speak {NAMES[version]} at all: {said}")
    return version


def test_nothing_else_listens(scanned: Scanned) -> None:
    assert scanned.listening() == {scanned.port(listener) for listener in (*ENCRYPTED, *PLAIN)}


@listeners
@pytest.mark.parametrize("version", NEW, ids=NAMES.get)
def test_tls_1_2_and_newer_is_spoken(scanned: Scanned, listener: str, version: ssl.TLSVersion) -> None:
    assert handshake(scanned.port(listener), only(scanned.client(), version)) == NAMES[version]


@listeners
def test_older_tls_is_refused(scanned: Scanned, listener: str, old: ssl.TLSVersion) -> None:
    assert is_refusal(handshake(scanned.port(listener), only(scanned.client(), old)))


HTTP_1 = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
ALERT = b"\x15"
"""How TLS says no: the type of its first record."""


@listeners
@pytest.mark.parametrize("said", [HTTP_1, HTTP_2], ids=["http 1", "http 2"])
def test_plain_text_is_not_answered(scanned: Scanned, listener: str, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", scanned.port(listener)), timeout=10) as connection:
        connection.sendall(said)
        try:
            answer = connection.recv(4096)
        except ConnectionResetError:
            answer = b""
    assert answer[:1] in (b"", ALERT)
