"""Certificates as an operator or an attacker might have them."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Authority:
    """A root, valid from ``begin`` for ``days``, and what it signs for 127.0.0.1."""

    def __init__(self, begin: timedelta = -DAY, days: int = 10, is_ca: bool = True) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._begin, self._end = datetime.now(UTC) + begin, datetime.now(UTC) + begin + days * DAY
        self._certificate = self._sign("root", self._key, is_ca)
        self.pem = _pem(self._certificate)
        self.key = _key_pem(self._key)

    def server(self, folder: Path) -> tuple[str, str]:
        """The files of a certificate for 127.0.0.1 with its root behind it, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        files = folder / "server.pem", folder / "server-key.pem"
        files[0].write_text(_pem(self._sign("server", key, False)) + self.pem)
        files[1].write_text(_key_pem(key))
        return str(files[0]), str(files[1])

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, is_ca: bool) -> x509.Certificate:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._begin)
            .not_valid_after(self._end)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
