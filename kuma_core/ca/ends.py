"""What certificates say of themselves: when they end, and what tells one from another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from kuma_core.errors import KumaError


@dataclass(frozen=True, slots=True)
class Told:
    """A certificate as operators see it; ``sha256`` is its fingerprint."""

    sha256: str
    subject: str
    begins: datetime
    ends: datetime


def ends(anchors: Iterable[str]) -> list[datetime]:
    """When each certificate of these texts in PEM ends; raises ``KumaError`` for one that cannot be read."""
    return [one.not_valid_after_utc for one in _read(anchors)]


def told(anchors: Iterable[str]) -> list[Told]:
    """What each certificate of these texts in PEM says; raises ``KumaError`` for one that cannot be read."""
    return [
        Told(
            one.fingerprint(hashes.SHA256()).hex(),
            one.subject.rfc4514_string(),
            one.not_valid_before_utc,
            one.not_valid_after_utc,
        )
        for one in _read(anchors)
    ]


def _read(anchors: Iterable[str]) -> list[x509.Certificate]:
    try:
        return [one for pem in anchors for one in x509.load_pem_x509_certificates(pem.encode())]
    except ValueError as error:
        raise KumaError(f"a certificate of the authority cannot be read: {error}") from None
