"""A certificate authority as a stranger writes it: one root for all meshes, kept in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kuma_core.sdk import CaProviderFactory, Violation, hookimpl
from kuma_core.sdk.pki import Issuer, key_usage, sign_leaf


class AcmeCa:
    """The provider."""

    def __init__(self) -> None:
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme")])
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage("key_cert_sign"), critical=True)
            .sign(key, hashes.SHA256())
        )
        self._issuer = Issuer(certificate, key)

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> Iterable[Violation]:
        """One word is known."""
        return [Violation(word, "is not known") for word in conf if word != "team"]

    def ensure(self, mesh: str) -> None:
        """The root is there."""

    def trust_anchors(self, mesh: str) -> Sequence[str]:
        """The root."""
        return [self._issuer.certificate.public_bytes(serialization.Encoding.PEM).decode()]

    def issue(self, mesh: str, public_key: str, uris: Sequence[str], ttl: timedelta) -> str:
        """A leaf."""
        return sign_leaf(self._issuer, public_key, uris, ttl)


@hookimpl
def kuma_register_ca_providers() -> Iterable[CaProviderFactory]:
    """Bring the authority ``acme``."""
    return [CaProviderFactory("acme", lambda config, secrets: AcmeCa())]
