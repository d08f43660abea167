"""Certificates begin an hour ago: a proxy whose clock is that far behind believes them at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kuma_ca_builtin.root import new_root
from kuma_core.ca.pki import Issuer, load_issuer, sign_leaf

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def begin(issuer: Issuer) -> datetime:
    """When a new leaf begins to be good."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    leaf = sign_leaf(issuer, pem.decode(), ["spiffe://shop/web"], HOUR)
    return x509.load_pem_x509_certificate(leaf.encode()).not_valid_before_utc


def an_hour_ago(moment: datetime) -> bool:
    return abs(datetime.now(UTC) - HOUR - moment) < MINUTE


def test_the_root_and_a_leaf_of_it() -> None:
    issuer = load_issuer(*new_root("shop"))
    assert an_hour_ago(issuer.certificate.not_valid_before_utc)
    assert an_hour_ago(begin(issuer))


def test_a_leaf_begins_no_earlier_than_its_issuer() -> None:
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    uploaded = builder.not_valid_before(now).not_valid_after(now + HOUR).sign(key, hashes.SHA256())
    assert begin(Issuer(uploaded, key)) == uploaded.not_valid_before_utc
