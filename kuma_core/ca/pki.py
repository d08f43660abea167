"""X.509 that every authority of ours needs: a leaf signed by a certificate and its key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from kuma_core.errors import KumaError

BACKDATED = timedelta(hours=1)
"""How far before its making a certificate begins, for clocks that are behind ours."""

SigningKey = RSAPrivateKey | EllipticCurvePrivateKey

# ``x509.KeyUsage`` has no defaults: it wants a value for every one of its bits.
_NO_USAGE = dict.fromkeys(
    [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ],
    False,
)


@dataclass(frozen=True, slots=True)
class Issuer:
    """A certificate that may sign, and its key, which no ``repr`` shows."""

    certificate: x509.Certificate
    key: SigningKey

    def __repr__(self) -> str:
        return f"Issuer({self.certificate.subject.rfc4514_string()})"


def load_issuer(certificate: bytes, key: bytes) -> Issuer:
    """Read a certificate and its unencrypted key from PEM; raises ``KumaError`` that shows neither."""
    try:
        loaded = serialization.load_pem_private_key(key, password=None)
        issuer = x509.load_pem_x509_certificate(certificate)
    except (ValueError, TypeError):
        raise KumaError("the authority's certificate or its key is no PEM that can be read") from None
    if not isinstance(loaded, RSAPrivateKey | EllipticCurvePrivateKey):
        raise KumaError("the authority's key is neither RSA nor ECDSA")
    return Issuer(issuer, loaded)


REMEMBERED_ISSUERS = 1000
"""How many stay in memory, a few kilobytes each; the bound is there because meshes come and go."""


class Issuers:
    """The issuer of each mesh, read anew when its version is another: reading an RSA key costs more than to sign.

    Safe for use from several threads: at worst two of them read the same pair.
    """

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, Issuer]] = {}

    def of(self, mesh: str, version: str, pair: Callable[[], tuple[bytes, bytes]]) -> Issuer:
        """``pair`` gives certificate and key in PEM, as ``load_issuer`` takes them."""
        known, issuer = self._read.get(mesh, ("", None))
        if issuer is None or known != version:
            issuer = load_issuer(*pair())
            if len(self._read) >= REMEMBERED_ISSUERS and mesh not in self._read:
                self._read.clear()  # what is in use is soon read again
            self._read[mesh] = (version, issuer)
        return issuer


def key_usage(*names: str) -> x509.KeyUsage:
    """A KeyUsage with these bits, named as ``cryptography`` names them."""
    bits: dict[str, Any] = {**_NO_USAGE, **dict.fromkeys(names, True)}
    return x509.KeyUsage(**bits)


def sign_leaf(issuer: Issuer, public_key: str, uris: Sequence[str], ttl: timedelta) -> str:
    """A certificate for a workload, in PEM: no subject, its names as URI SANs, for TLS on both sides.

    ``public_key`` is a SubjectPublicKeyInfo in PEM. The leaf begins ``BACKDATED`` ago, but no earlier than its issuer,
    and ends no later. Raises ``KumaError``.
    """
    if not uris:
        raise KumaError("a certificate needs at least one URI")
    now = datetime.now(UTC)
    start = max(now - BACKDATED, issuer.certificate.not_valid_before_utc)
    end = min(now + ttl, issuer.certificate.not_valid_after_utc)
    if end <= now:
        raise KumaError("the authority's certificate has expired")
    certificate = _builder(issuer, public_key, uris, start, end).sign(issuer.key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _builder(
    issuer: Issuer, public_key: str, uris: Sequence[str], start: datetime, end: datetime
) -> x509.CertificateBuilder:
    key: Any = _public_key(public_key)
    names = x509.SubjectAlternativeName([_uri(uri) for uri in uris])
    usage = ["digital_signature", "key_agreement"]
    if not isinstance(key, EllipticCurvePublicKey):
        usage.append("key_encipherment")  # what RSA keys do, and elliptic curves may not claim (RFC 5480)
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(names, critical=True)  # it has to be, as there is no subject (RFC 5280, 4.1.2.6)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(*usage), critical=True)
        .add_extension(both, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_id(issuer), critical=False)
    )


def _authority_id(issuer: Issuer) -> x509.AuthorityKeyIdentifier:
    """As the issuer calls itself; an uploaded one may have its own way to compute that, or none."""
    try:
        own = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def _public_key(pem: str) -> object:
    try:
        return serialization.load_pem_public_key(pem.encode("ascii"))
    except ValueError:
        raise KumaError("the public key to sign is no SubjectPublicKeyInfo in PEM") from None


def _uri(uri: str) -> x509.UniformResourceIdentifier:
    if not uri.isascii():
        raise KumaError(f"the URI {uri!r:.200} of a certificate holds characters outside of ASCII")
    return x509.UniformResourceIdentifier(uri)
