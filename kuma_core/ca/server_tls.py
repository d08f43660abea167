"""The control plane's own TLS: one root, made once and kept in the store, and a leaf for each instance.

Proxies trust the root; since it stays, a restart or another instance changes nothing for them.
"""

from __future__ import annotations

import codecs
import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kuma_core.ca.own_secret import SECRET_MESH, SECRET_NAME
from kuma_core.ca.pki import BACKDATED, Issuer, key_usage, load_issuer
from kuma_core.config import Config
from kuma_core.errors import ConfigError, KumaError
from kuma_core.resources.contract import Secrets

ROOT_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=825)


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a TLS server needs, and what its clients have to trust; all in PEM."""

    chain: bytes
    key: bytes = field(repr=False)
    root: bytes


def own_tls(secrets: Secrets, hosts: Iterable[str]) -> ServerTls:
    """A leaf for these host names and addresses, signed by the root in the store; makes the root if there is none.

    Raises ``KumaError`` if it cannot read the root, and never replaces one silently: every proxy would have to learn
    the new one.
    """
    issuer = _own_issuer(secrets)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _leaf(issuer, key, sorted({*hosts, "localhost", "127.0.0.1", "::1"}))
    root = issuer.certificate.public_bytes(serialization.Encoding.PEM)
    return ServerTls(leaf.public_bytes(serialization.Encoding.PEM) + root, _pem(key), root)


def trusted_root(config: Config, secrets: Secrets) -> bytes:
    """What clients of the gRPC servers are to trust, in PEM: from the configured file, or from the store.

    Raises as ``configured_tls`` and ``own_tls`` do.
    """
    files = config.text("sdsServer.tlsCertFile"), config.text("sdsServer.tlsKeyFile")
    if files[0]:
        return configured_tls(*files).root
    return _own_issuer(secrets).certificate.public_bytes(serialization.Encoding.PEM)


def _own_issuer(secrets: Secrets) -> Issuer:
    secret = secrets.ensure(SECRET_MESH, SECRET_NAME, _new_root)
    try:
        found = json.loads(secret.value)
        return load_issuer(found["cert"].encode(), found["key"].encode())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KumaError(f'the secret "{SECRET_NAME}" holds no TLS root that can be read') from None


def configured_tls(certificate: str, key: str) -> ServerTls:
    """The certificate and key of two files; clients are to trust the last certificate of the chain.

    Raises ``ConfigError`` that names the file.
    """
    contents = []
    for setting, path in (("sdsServer.tlsCertFile", certificate), ("sdsServer.tlsKeyFile", key)):
        try:
            with open(path, "rb") as file:
                # Editors of Windows begin a file with a byte order mark, which is no part of PEM.
                contents.append(file.read(1024 * 1024).removeprefix(codecs.BOM_UTF8))
        except OSError as error:
            raise ConfigError(f'{setting}: cannot read "{path}": {error.strerror}') from None
    chain, private = contents
    try:
        load_issuer(chain, private)
        root = x509.load_pem_x509_certificates(chain)[-1]
    except (KumaError, ValueError, IndexError):
        raise ConfigError(f'"{certificate}" and "{key}" are no certificate and key in PEM') from None
    return ServerTls(chain, private, root.public_bytes(serialization.Encoding.PEM))


def _new_root() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kuma-control-plane")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return json.dumps({"cert": pem, "key": _pem(key).decode()}).encode()


def _leaf(issuer: Issuer, key: ec.EllipticCurvePrivateKey, hosts: list[str]) -> x509.Certificate:
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    end = min(now + LEAF_LIFETIME, issuer.certificate.not_valid_after_utc)
    own_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kuma-cp")]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(own_id, critical=False)
        .sign(issuer.key, hashes.SHA256())
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
