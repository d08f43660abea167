"""What an uploaded certificate and its key have to be, told before anything is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kuma_core.sdk import InvalidResource, Violation

CERT, KEY, PAIR = "cert", "key", "."
LEAST_RSA_BITS = 2048
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
"""Those that Envoy verifies."""

_LEAVES_ONLY = {
    "digital_signature": "digitalSignature",
    "key_agreement": "keyAgreement",
    "key_encipherment": "keyEncipherment",
}

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def checked_pair(cert: str, key: str) -> tuple[bytes, bytes]:
    """The pair in PEM without anything around it; raises ``InvalidResource`` with all that is wrong.

    No message holds anything of the key.
    """
    problems: list[Violation] = []
    certificate = _certificate(cert, problems)
    private = _key(key, problems)
    if certificate:
        problems += [Violation(CERT, text) for text in _root_problems(certificate)]
    if certificate and private and certificate.public_key() != private.public_key():
        problems.append(Violation(PAIR, "the key does not belong to the certificate"))
    if problems or not certificate or not private:
        raise InvalidResource(problems)
    return certificate.public_bytes(serialization.Encoding.PEM), private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(text: str, problems: list[Violation]) -> x509.Certificate | None:
    """The one certificate of a PEM text, whose public key and extensions can be read."""
    try:
        found = x509.load_pem_x509_certificates(text.encode())
        for certificate in found:
            certificate.public_key()
            list(certificate.extensions)
    except (ValueError, UnsupportedAlgorithm):
        problems.append(Violation(CERT, "is no certificate in PEM that can be read"))
        return None
    if len(found) != 1:
        problems.append(Violation(CERT, f"has to be a single root certificate; it holds {len(found)}"))
        return None
    return found[0]


def _key(text: str, problems: list[Violation]) -> Key | None:
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError:
        problems.append(Violation(KEY, "is encrypted; upload it without a password"))
        return None
    except (ValueError, UnsupportedAlgorithm):
        problems.append(Violation(KEY, "is no private key in PEM that can be read"))
        return None
    problem = _key_problem(key)
    if problem:
        problems.append(Violation(KEY, problem))
        return None
    assert isinstance(key, Key)
    return key


def _key_problem(key: object) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "" if key.key_size >= LEAST_RSA_BITS else f"an RSA key needs at least {LEAST_RSA_BITS} bits"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return "" if isinstance(key.curve, CURVES) else "its curve has to be P-256, P-384 or P-521"
    return "has to be an RSA or an ECDSA key"


def _root_problems(certificate: x509.Certificate) -> Iterator[str]:
    if not _is_self_signed(certificate):
        yield "has to be a self-signed root certificate"
    if not _may_sign(certificate):
        yield "has to be that of an authority (basic constraint CA:true)"
    yield from _usage_problems(certificate)
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc <= now:
        yield f"expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    if certificate.not_valid_before_utc > now:
        yield f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"


def _is_self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _usage_problems(certificate: x509.Certificate) -> Iterator[str]:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        yield "needs the key usage keyCertSign"
        return
    if not usage.key_cert_sign:
        yield "needs the key usage keyCertSign"
    for name, spelling in _LEAVES_ONLY.items():
        if getattr(usage, name):
            yield f"may not have the key usage {spelling}, which is for the certificates that it signs"
