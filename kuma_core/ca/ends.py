"""When certificates end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509

from kuma_core.errors import KumaError


def ends(anchors: Iterable[str]) -> list[datetime]:
    """When each certificate of these texts in PEM ends; raises ``KumaError`` for one that cannot be read."""
    try:
        found = [one for pem in anchors for one in x509.load_pem_x509_certificates(pem.encode())]
    except ValueError as error:
        raise KumaError(f"a certificate of the authority cannot be read: {error}") from None
    return [one.not_valid_after_utc for one in found]
