"""Serving certificates as the data of a Secret: a leaf for a Service, and the root of its own that signed it.

The root lives for years and is what webhooks trust, so that a new leaf changes nothing for the API server. Pure
functions but for the keys that they make. Data without the root's key came from an operator: it is served as it is, and
never renewed.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kuma_core.sdk.pki import BACKDATED, key_usage

CERTIFICATE, KEY, ROOT, ROOT_KEY = "tls.crt", "tls.key", "ca.crt", "ca.key"
"""Members of a Secret; the first two are those of the type ``kubernetes.io/tls``, the third is the field's."""

ROOT_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=365)
Data = Mapping[str, str]
"""Base64 by member, as the API has it."""


def hosts_of(service: str, namespace: str) -> list[str]:
    """The names by which a Service is called in its cluster; the API server uses the first."""
    return [f"{service}.{namespace}.svc", f"{service}.{namespace}", service]


def new_pair(hosts: Sequence[str], now: datetime, previous: Data | None = None) -> dict[str, str]:
    """A leaf for these names. It is signed by the root of ``previous`` while that is young, else by a new one.

    A new root leaves the old one trusted beside it.
    """
    issuer = _usable_root(previous, now) if previous else None
    root_key, root = issuer or _new_root(hosts[0], now)
    trusted = [root]
    if previous and issuer is None:
        trusted += [found for found in _certificates(previous, ROOT)[:1] if found.not_valid_after_utc > now]
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _leaf(hosts, key, root, root_key, now)
    made = {
        CERTIFICATE: _pem(leaf) + _pem(root),
        KEY: _private(key),
        ROOT: b"".join(_pem(item) for item in trusted),
        ROOT_KEY: _private(root_key),
    }
    return {name: b64encode(value).decode() for name, value in made.items()}


def is_ours(data: Data) -> bool:
    """Whether the control plane made it, and so renews it."""
    return ROOT_KEY in data


def renewal(data: Data, hosts: Sequence[str], now: datetime) -> datetime:
    """From when on another leaf is to be made: after two thirds of its life, or at once for one that is of no use."""
    found = _certificates(data, CERTIFICATE)
    if not found or not _certificates(data, ROOT) or not set(hosts) <= _names(found[0]):
        return now
    leaf = found[0]
    return leaf.not_valid_before_utc + (leaf.not_valid_after_utc - leaf.not_valid_before_utc) * 2 / 3


def trusted_by_webhooks(data: Data) -> str:
    """What ``caBundle`` has to be, in base64: the root, or what an operator gave without one."""
    return data.get(ROOT) or data.get(CERTIFICATE, "")


def files(data: Data) -> dict[str, bytes] | None:
    """The certificate and the key in PEM; ``None`` for data that hold none."""
    try:
        made = {name: b64decode(data[name], validate=True) for name in (CERTIFICATE, KEY)}
    except (KeyError, NoBase64, ValueError):
        return None
    return made if all(made.values()) else None


def _certificates(data: Data, member: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(b64decode(data[member], validate=True))
    except (KeyError, NoBase64, ValueError):
        return []


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return set(found.get_values_for_type(x509.DNSName))


def _usable_root(data: Data, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
    """The root, unless it has lived for two thirds of its life, or is no root of ours."""
    found = _certificates(data, ROOT)
    if not found or found[0].not_valid_before_utc + ROOT_LIFETIME * 2 / 3 < now:
        return None
    try:
        key = serialization.load_pem_private_key(b64decode(data[ROOT_KEY], validate=True), None)
    except (KeyError, NoBase64, ValueError, TypeError):
        return None
    is_pair = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == found[0].public_key()
    return (key, found[0]) if is_pair and isinstance(key, ec.EllipticCurvePrivateKey) else None


def _new_root(host: str, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"root of {host}"[:64])])
    made = (
        _builder(name, name, key.public_key(), now, ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, made


def _leaf(
    hosts: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    own_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    return (
        _builder(name, root.subject, key.public_key(), now, LEAF_LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(own_id, critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now.astimezone(UTC) - BACKDATED,
        not_valid_after=now.astimezone(UTC) + life,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
