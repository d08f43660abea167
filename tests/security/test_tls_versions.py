"""TLS 1.2 or newer on every port that speaks it: 5677, 5678 and the inbounds of an encrypted mesh."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509

import kuma_ca_builtin
import kuma_store_memory
from kuma_ca_builtin.root import new_root
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import Machine
from ..end_to_end.test_mtls import SETTINGS, address, encrypt
from ..end_to_end.test_traffic import instance
from .support import certificate_of

OLD, TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def allow_old(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Have a context speak this version alone, with ciphers and keys as weak as it needs."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


def handshake(port: int, version: ssl.TLSVersion) -> str:
    """What a client gets that speaks one version alone: the version, or the error."""
    context = allow_old(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), version)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain) as encrypted,
        ):
            return encrypted.version() or "none"
    except OSError as error:
        return str(error)


@pytest.fixture(scope="module")
def old_client(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where the local OpenSSL does not speak TLS 1.1 with itself: a refusal would then mean nothing."""
    folder = tmp_path_factory.mktemp("old")
    for name, pem in zip(("cert", "key"), new_root("old"), strict=True):
        (folder / name).write_bytes(pem)
    context = allow_old(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), OLD)
    context.load_cert_chain(folder / "cert", folder / "key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve_one, args=(listener, context))
        thread.start()
        said = handshake(listener.getsockname()[1], OLD)
        thread.join(timeout=10)
    if said != "TLSv1.1":
        pytest.skip(f"the OpenSSL of this machine does not speak TLS 1.1 at all: {said}")


def serve_one(listener: socket.socket, context: ssl.SSLContext) -> None:
    plain, _ = listener.accept()
    with plain:
        try:
            context.wrap_socket(plain, server_side=True).close()
        except OSError:
            return


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin], SETTINGS) as platform:
        yield platform


def refused(text: str) -> bool:
    """Whether the server said no to the version, or hung up at once."""
    return "TLSv1" not in text and any(word in text.lower() for word in ("alert", "reset", "eof", "protocol"))


@pytest.mark.parametrize("port", ["sds_port", "xds_port"])
def test_5677_and_5678_speak_tls_1_2_and_newer(cp: RunningPlatform, port: str) -> None:
    for version, name in ((TLS_1_2, "TLSv1.2"), (TLS_1_3, "TLSv1.3")):
        assert handshake(getattr(cp, port), version) == name


@pytest.mark.usefixtures("old_client")
@pytest.mark.parametrize("port", ["sds_port", "xds_port"])
def test_5677_and_5678_refuse_tls_1_1(cp: RunningPlatform, port: str) -> None:
    assert refused(handshake(getattr(cp, port), OLD))


@pytest.mark.usefixtures("old_client")
def test_an_inbound_refuses_tls_1_1(cp: RunningPlatform, tmp_path: Path) -> None:
    with ExitStack() as stack:
        machine = Machine(cp, tmp_path, stack)
        encrypt(machine)
        ledger = instance(machine, "ledger-1", "ledger")
        cp.apply(ledger)
        machine.sidecar("ledger-1")
        port = address(ledger)[1]
        shown = eventually(lambda: certificate_of(port))
        assert x509.load_pem_x509_certificate(shown.encode())
        assert handshake(port, TLS_1_3) == "TLSv1.3"
        assert refused(handshake(port, OLD))
