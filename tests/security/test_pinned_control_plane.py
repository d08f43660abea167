"""``kuma-dp run --ca-cert-file`` with real Envoys: the pinned control plane is obeyed, and no other one."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..dataplane.certificates import Authority
from ..end_to_end.support import Machine
from ..end_to_end.test_mtls import SETTINGS, address, encrypt
from ..end_to_end.test_traffic import instance
from .support import certificate_of, kumactl

PLUGINS = [kuma_store_memory, kuma_ca_builtin]


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with running_platform(PLUGINS, SETTINGS) as platform:
        yield platform


@pytest.fixture
def root(cp: RunningPlatform, tmp_path: Path) -> Path:
    """The control plane's certificate, as an operator fetches it."""
    printed = kumactl(cp, tmp_path, "inspect", "control-plane-ca")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout.encode() == cp.trusted
    (tmp_path / "control-plane-ca.pem").write_text(printed.stdout)
    return tmp_path / "control-plane-ca.pem"


def test_the_pinned_control_plane_is_obeyed_and_so_are_the_secrets_that_it_announces(
    cp: RunningPlatform, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUMA_CONTROL_PLANE_CA_CERT_FILE", str(root))
    with ExitStack() as stack:
        machine = Machine(cp, tmp_path, stack)
        encrypt(machine)
        ledger = instance(machine, "ledger-1", "ledger")
        cp.apply(ledger)
        sidecar = machine.sidecar("ledger-1")
        assert eventually(lambda: certificate_of(address(ledger)[1]))
        assert "Warning" not in sidecar.log.read_text()


class Impostor:
    """A TLS server with a certificate of its own, in a thread; keeps what became of each handshake."""

    def __init__(self, cert: str, key: str) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(cert, key)
        self._tls.set_alpn_protocols(["h2"])
        self.handshakes: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Impostor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._shake_hands(self._listener.accept()[0])

    def _shake_hands(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        try:
            with plain, self._tls.wrap_socket(plain, server_side=True):
                self.handshakes.append("trusted")
        except OSError as error:
            self.handshakes.append(getattr(error, "reason", "") or str(error))


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[Impostor]:
    with Impostor(*Authority().server(tmp_path)) as running:
        yield running


@pytest.fixture
def attacker(impostor: Impostor, tmp_path: Path) -> Iterator[RunningPlatform]:
    """A control plane whose bootstrap leads proxies to the impostor, and has them trust it."""
    settings = {
        **SETTINGS,
        "KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_PORT": str(impostor.port),
        "KUMA_SDS_SERVER_TLS_CERT_FILE": str(tmp_path / "server.pem"),
        "KUMA_SDS_SERVER_TLS_KEY_FILE": str(tmp_path / "server-key.pem"),
    }
    with running_platform(PLUGINS, settings) as platform:
        platform.apply(dataplane("web-1", inbound(f"127.0.0.1:{free_port()}:{free_port()}", "web")))
        yield platform


def test_without_a_pin_whoever_answers_at_bootstrap_is_believed(
    attacker: RunningPlatform, impostor: Impostor, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        Machine(attacker, tmp_path, stack).sidecar("web-1", wait=False)
        eventually(lambda: "trusted" in impostor.handshakes, 20, "a handshake")


def test_with_a_pin_whoever_answers_gets_neither_the_proxy_nor_its_token(
    attacker: RunningPlatform,
    impostor: Impostor,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUMA_CONTROL_PLANE_CA_CERT_FILE", str(root))
    with ExitStack() as stack:
        sidecar = Machine(attacker, tmp_path, stack).sidecar("web-1", wait=False)
        eventually(lambda: len(impostor.handshakes) > 1, 20, "two attempts")
        assert "trusted" not in impostor.handshakes
        assert sidecar.listeners() == set()
        assert "its root certificate is another one than that of" in sidecar.log.read_text()
