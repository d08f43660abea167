"""What a person wants to know of a certificate, as a row of a table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

HEADER = ("ID", "COMMON NAME", "SERIAL NUMBER", "NOT VALID BEFORE", "NOT VALID AFTER", "SHA-1 FINGERPRINT")


def row(entry: Mapping[str, Any]) -> list[str]:
    """The cells of one entry ``{"id", "cert"}``; what is no certificate is said in its row."""
    try:
        certificate = x509.load_pem_x509_certificate(str(entry.get("cert", "")).encode())
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return [str(entry.get("id", "")), "not a certificate", "", "", "", ""]
    return [
        str(entry.get("id", "")),
        str(names[0].value) if names else "",
        str(certificate.serial_number),
        _time(certificate.not_valid_before_utc),
        _time(certificate.not_valid_after_utc),
        certificate.fingerprint(hashes.SHA1()).hex(),
    ]


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} +0000 UTC"
