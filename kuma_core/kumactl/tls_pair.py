"""A key and its self-signed certificate, made and written.

The one place, with ``certificates``, where kumactl needs the library cryptography, which is not of its base.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kuma_core import packages
from kuma_core.errors import KumaError
from kuma_core.kumactl import files

if TYPE_CHECKING:
    from cryptography import x509

KEY_BITS = 2048
VALIDITY = timedelta(days=10 * 365)
COMMON_NAME = "kuma"
KEY_MODE, CERT_MODE = 0o400, 0o644


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key (PKCS#1) and its certificate, as PEM."""

    key: bytes
    cert: bytes


def needs_cryptography() -> KumaError:
    """The error where the library is absent."""
    return KumaError(
        f"this command needs the library cryptography: {packages.pip_install('kuma-core', 'tls')}"
    )


def generate(hostnames: Sequence[str], is_client: bool) -> Pair:
    """A new pair for these hostnames and ``localhost``. Raises KumaError for what is no hostname."""
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError:
        raise needs_cryptography() from None
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    certificate = _builder(hostnames, is_client, key.public_key()).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    pkcs1 = serialization.PrivateFormat.TraditionalOpenSSL
    return Pair(key.private_bytes(pem, pkcs1, plain), certificate.public_bytes(pem))


def _builder(hostnames: Sequence[str], is_client: bool, public_key: Any) -> x509.CertificateBuilder:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    now = datetime.now(UTC)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] + ([ExtendedKeyUsageOID.CLIENT_AUTH] if is_client else [])
    builder = x509.CertificateBuilder(name, name, public_key, secrets.randbits(128) or 1, now, now + VALIDITY)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(hostnames)), critical=False)
        .add_extension(identifier, critical=False)
    )


def _key_usage() -> x509.KeyUsage:
    from cryptography import x509

    unused = ("content_commitment", "data_encipherment", "key_agreement", "crl_sign")
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=True,
        encipher_only=False,
        decipher_only=False,
        **dict.fromkeys(unused, False),
    )


def _names(hostnames: Sequence[str]) -> list[x509.GeneralName]:
    return [_general_name(hostname) for hostname in dict.fromkeys((*hostnames, "localhost"))]


def _general_name(hostname: str) -> x509.GeneralName:
    import ipaddress

    from cryptography import x509

    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(hostname))
    try:
        ascii_name = hostname.encode("idna").decode()
    except UnicodeError:
        ascii_name = ""
    if not ascii_name or any(c.isspace() or c in ":/@" or not c.isprintable() for c in ascii_name):
        raise KumaError(f'--cp-hostname "{hostname}" is neither a hostname nor an IP address')
    return x509.DNSName(ascii_name)


def check_places(key_file: str, cert_file: str, overwrite: bool) -> None:
    """Refuse to replace a key unless that is wished, before time is spent on a new one."""
    if os.path.realpath(key_file) == os.path.realpath(cert_file):
        raise KumaError("--key-file and --cert-file must be two files")
    if os.path.lexists(key_file) and not overwrite:
        raise KumaError(
            f'could not write the key file: "{key_file}" exists already; use --overwrite to replace it'
        )


def save(pair: Pair, key_file: str, cert_file: str) -> None:
    """Write both files: the key for its owner alone. If one cannot be written, neither is replaced."""
    key = _stage("key", key_file, pair.key, KEY_MODE)
    try:
        cert = _stage("cert", cert_file, pair.cert, CERT_MODE)
    except KumaError:
        files.remove(key)
        raise
    for what, path, temporary in (("cert", cert_file, cert), ("key", key_file, key)):
        try:
            os.replace(temporary, os.path.realpath(path))
        except OSError as error:
            files.remove(cert)
            files.remove(key)
            raise _unwritable(what, path, error) from None


def _stage(what: str, path: str, data: bytes, mode: int) -> str:
    try:
        return files.stage(os.path.realpath(path), data, mode)
    except (OSError, ValueError) as error:
        raise _unwritable(what, path, error) from None


def _unwritable(what: str, path: str, error: OSError | ValueError) -> KumaError:
    return KumaError(f'could not write the {what} file: "{path}": {files.reason(error)}')
