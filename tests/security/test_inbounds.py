"""The inbounds of an encrypted mesh, and what an Envoy offers as a client: both have their TLS from SDS."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import kuma_ca_builtin
import kuma_policy_traffic
import kuma_store_memory
from kuma_ca_builtin.root import new_root
from kuma_core.ca.pki import load_issuer
from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from ..end_to_end.support import Machine, Sidecar, fetch
from ..end_to_end.test_mtls import SETTINGS, address, encrypt, permit, refused
from ..end_to_end.test_traffic import client, instance
from .support import SDS, stream
from .test_tls_versions import old as old
from .tls import (
    NAMES,
    NEW,
    Pair,
    get,
    handshake,
    is_refusal,
    only,
    speaks_to_itself,
    trusting,
    write_pair,
)

ALLOWED, STRANGER = "web", "mailer"


class Ledger:
    """A ledger whose Envoy lets in who is ``web`` in the mesh ``default``."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.cp, self._folder = machine.cp, folder
        encrypt(machine)
        permit(machine, "p", ALLOWED, "ledger")
        ledger = instance(machine, "ledger-1", "ledger")
        self.cp.apply(mesh("other", mtls={"enabled": True, "ca": {"builtin": {}}}), ledger)
        for name, where in ((ALLOWED, "default"), (STRANGER, "default"), (ALLOWED, "other")):
            self.cp.apply({**dataplane(name, inbound("10.0.0.1:80:80", name)), "mesh": where})
        self.port = address(ledger)[1]
        self.sidecar: Sidecar = machine.sidecar("ledger-1")

    def identity(self, name: str, mesh: str = "default") -> Pair:
        """What SDS gives to a proxy."""
        with stream(self.cp, SDS, self.cp.token(name, mesh)) as opened:
            opened.ask("identity_cert", node=f"{mesh}.{name}")
            certificate = opened.secret()[1].tls_certificate
        assert certificate
        assert certificate.certificate_chain
        assert certificate.private_key
        texts = (part.inline_bytes for part in (certificate.certificate_chain, certificate.private_key))
        return write_pair(self._folder, f"{mesh}-{name}", *texts)

    def signed(self, root: tuple[bytes, bytes], ends: timedelta) -> Pair:
        """A certificate that says that it is ``web``, by a root that is given."""
        key = ec.generate_private_key(ec.SECP256R1())
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        return write_pair(self._folder, "made", leaf(root, key, ends), pem)

    def root(self) -> tuple[bytes, bytes]:
        """The mesh's own root and its key."""
        stored = self.cp.platform.core.secrets.get("default", "builtinca.default")
        (found, *_) = json.loads(stored.value)["roots"]
        return base64.b64decode(found["cert"]), base64.b64decode(found["key"])

    def denied(self) -> int:
        """How many connections were closed for want of a permission."""
        return self.sidecar.stat(f"inbound.127.0.0.1.{self.port}.*rbac.denied")


def leaf(root: tuple[bytes, bytes], key: ec.EllipticCurvePrivateKey, ends: timedelta) -> bytes:
    """As an authority makes it for ``web``, but ending whenever one likes."""
    issuer, end = load_issuer(*root), datetime.now(UTC) + ends
    name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://default/{ALLOWED}")])
    own = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    number, nobody = x509.random_serial_number(), x509.Name([])
    builder = (
        x509.CertificateBuilder(issuer.certificate.subject, nobody, key.public_key(), number)
        .not_valid_before(end - timedelta(days=2))
        .not_valid_after(end)
        .add_extension(name, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
    )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_policy_traffic, kuma_ca_builtin], SETTINGS) as platform:
        yield platform


@pytest.fixture(scope="module")
def ledger(cp: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    folder = tmp_path_factory.mktemp("ledger")
    with ExitStack() as stack:
        made = Ledger(Machine(cp, folder, stack), folder)
        known = trusting(made.identity(ALLOWED))
        assert eventually(lambda: get(made.port, known)) == "ledger-1"
        yield made


def shown(ledger: Ledger, which: str) -> Pair | None:
    """What a client shows."""
    if which == "nothing":
        return None
    if which == "by a stranger's root":
        return ledger.signed(new_root("default"), timedelta(days=1))
    if which == "expired":
        return ledger.signed(ledger.root(), timedelta(hours=-1))
    if which == "of another mesh":
        return ledger.identity(ALLOWED, "other")
    return ledger.identity(ALLOWED if which == "permitted" else STRANGER)


@pytest.mark.parametrize("which", ["nothing", "by a stranger's root", "expired", "of another mesh"])
def test_the_table_who_cannot_prove_to_be_of_the_mesh_gets_no_connection(ledger: Ledger, which: str) -> None:
    before = ledger.denied()
    with pytest.raises(OSError, match=r"(?i)alert|eof|reset|closed"):
        get(ledger.port, trusting(shown(ledger, which)))
    assert ledger.denied() == before, "the handshake failed, before any permission was looked at"


def test_the_table_a_certificate_made_here_is_refused_for_its_age_alone(ledger: Ledger) -> None:
    """What makes the refusal of ``expired`` mean something."""
    assert get(ledger.port, trusting(ledger.signed(ledger.root(), timedelta(days=1)))) == "ledger-1"


def test_the_table_who_is_of_the_mesh_without_a_permission_is_let_out_again(ledger: Ledger) -> None:
    before = ledger.denied()
    with pytest.raises(OSError, match=r"(?i)eof|reset|closed"):
        get(ledger.port, trusting(shown(ledger, "not permitted")))
    eventually(lambda: ledger.denied() == before + 1)


def test_the_table_who_is_permitted_is_served(ledger: Ledger) -> None:
    assert get(ledger.port, trusting(shown(ledger, "permitted"))) == "ledger-1"


def test_plain_text_is_not_answered(ledger: Ledger) -> None:
    with pytest.raises(OSError, match=r"(?i)disconnected|reset|badstatusline"):
        fetch(ledger.port)


@pytest.mark.parametrize("version", NEW, ids=NAMES.get)
def test_tls_1_2_and_newer_is_spoken(ledger: Ledger, version: ssl.TLSVersion) -> None:
    assert handshake(ledger.port, only(trusting(ledger.identity(ALLOWED)), version)) == NAMES[version]


def test_older_tls_is_refused(ledger: Ledger, old: ssl.TLSVersion) -> None:
    assert is_refusal(handshake(ledger.port, only(trusting(ledger.identity(ALLOWED)), old)))


@contextmanager
def server_of(version: ssl.TLSVersion, pair: Pair) -> Iterator[tuple[int, list[str]]]:
    """A server that speaks one version alone; its port, and how the handshakes of its clients ended."""
    context, ended = only(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), version), []
    context.load_cert_chain(pair.cert, pair.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_handshakes, args=(listener, context, ended), daemon=True)
        thread.start()
        yield listener.getsockname()[1], ended


def _handshakes(listener: socket.socket, context: ssl.SSLContext, ended: list[str]) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        with plain:
            plain.settimeout(10)
            try:
                context.wrap_socket(plain, server_side=True).close()
                ended.append("agreed")
            except OSError as error:
                ended.append(str(error))


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (ssl.TLSVersion.TLSv1, "protocol|no shared cipher"),
        (ssl.TLSVersion.TLSv1_1, "protocol|no shared cipher"),
        (ssl.TLSVersion.TLSv1_2, "unknown ca"),
    ],
    ids=lambda value: NAMES.get(value, ""),
)
def test_an_envoy_speaks_nothing_older_to_others(
    cp: RunningPlatform, tmp_path: Path, version: ssl.TLSVersion, told: str
) -> None:
    """With TLS 1.2 the handshake gets as far as the certificate, which is of nobody in the mesh."""
    port, pair = free_port(), write_pair(tmp_path, "server", *new_root("default"))
    if speaks_to_itself(version, pair) != NAMES[version]:
        pytest.skip(f"the OpenSSL of this machine does not speak {NAMES[version]} at all")
    with server_of(version, pair) as (there, ended), ExitStack() as stack:
        machine = Machine(cp, tmp_path, stack)
        encrypt(machine)
        cp.apply(dataplane("vault-1", inbound(f"127.0.0.1:{there}:1", "vault")))
        cp.apply(client("teller", outbound(f":{port}", "vault")))
        machine.sidecar("teller")
        eventually(lambda: refused(port) and ended)
        assert re.search(told, ended[0].lower().replace("_", " "))
