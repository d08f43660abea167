"""The floor of issuing: the least that ``cryptography`` can be asked for to get a key and a signed certificate."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def bare_leaves(count: int, clock: Callable[[], float] = time.perf_counter) -> Callable[[], float]:
    """The seconds of ``clock`` for so many P-256 keys and certificates, signed with one RSA key of 2048 bits."""
    root = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def once() -> float:
        began = clock()
        for number in range(count):
            _leaf(root, number)
        return clock() - began

    return once


def _leaf(root: rsa.RSAPrivateKey, number: int) -> tuple[bytes, bytes]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://default/web-{number}")])
    certificate = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=90))
        .add_extension(name, critical=True)
        .sign(root, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return certificate.public_bytes(pem), private
