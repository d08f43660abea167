"""How a root certificate looks."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from kuma_core.sdk import trust_domain_id
from kuma_core.sdk.pki import BACKDATED, key_usage

BITS = 2048
VALID_FOR = timedelta(days=3650)
LONGEST_COMMON_NAME = 64
"""X.509 takes no more; the whole name of the mesh is in the URI."""


def new_root(mesh: str) -> tuple[bytes, bytes]:
    """A self-signed certificate for a mesh and its RSA key, both in PEM."""
    return _made(mesh, "")


def next_root(mesh: str) -> tuple[bytes, bytes]:
    """As ``new_root``, under a name that no other root has.

    Whoever trusts two roots looks up the issuer of a leaf by its name. Roots of Kuma 0.3.1 have no key identifier
    to tell namesakes apart by, and a verifier that took the wrong one does not try the other.
    """
    return _made(mesh, secrets.token_hex(8))


def _made(mesh: str, qualifier: str) -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    certificate = _builder(mesh, qualifier, key.public_key()).sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _builder(mesh: str, qualifier: str, key: rsa.RSAPublicKey) -> x509.CertificateBuilder:
    texts = {
        NameOID.ORGANIZATION_NAME: "Kuma",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "Mesh",
        NameOID.COMMON_NAME: mesh[:LONGEST_COMMON_NAME],
        NameOID.DN_QUALIFIER: qualifier,
    }
    name = x509.Name([x509.NameAttribute(oid, text) for oid, text in texts.items() if text])
    now = datetime.now(UTC)
    identity = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(trust_domain_id(mesh))])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALID_FOR)
        .add_extension(identity, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
