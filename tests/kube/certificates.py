"""The certificates of a cluster for tests."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificates:
    """Files: of the authority, of the API server, and the key that signs tokens of ServiceAccounts."""

    authority: Path
    certificate: Path
    key: Path
    accounts: Path


def write_certificates(folder: Path, addresses: Sequence[str] = ()) -> Certificates:
    """Make them in a folder; the API server may have more addresses than loopback."""
    key, accounts = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    now = datetime.datetime.now(datetime.UTC)
    reached = [x509.IPAddress(ipaddress.ip_address(item)) for item in ("127.0.0.1", *addresses)]
    names = [*reached, x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = Certificates(*(folder / name for name in ("ca.crt", "server.crt", "server.key", "accounts.key")))
    text = certificate.public_bytes(serialization.Encoding.PEM)
    for path, content in (
        (files.authority, text),
        (files.certificate, text),
        (files.key, _pem(key)),
        (files.accounts, _pem(accounts)),
    ):
        path.write_bytes(content)
        path.chmod(0o600)
    return files


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
