"""The certificates by which the control plane is known, where they are pinned.

``ssl`` is imported where it is used: only the preparing process ever pays for it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kuma_core.errors import KumaError

if TYPE_CHECKING:
    from ssl import SSLContext

LARGEST = 1024 * 1024
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s.+?\s-----END CERTIFICATE-----", re.DOTALL)
_HINT = "Print it with 'kumactl inspect control-plane-ca' on the machine of the control plane."


@dataclass(frozen=True, slots=True)
class Pin:
    """Certificates that were read from ``path``: as PEM, and as TLS of a client that trusts nothing else."""

    path: str
    pem: str
    tls: SSLContext

    def covers(self, pem: str) -> bool:
        """Whether every certificate in ``pem`` is one of these, white space aside."""
        return _bodies(pem) <= _bodies(self.pem)


def read(path: str) -> Pin:
    """The certificates of a file, without what else is in it; raises ``KumaError`` if none is of use."""
    blocks = _BLOCK.findall(_text(path))
    if not blocks:
        raise _refused(path, "the file holds no certificate in PEM")
    pem = "\n".join(blocks) + "\n"
    tls = _context(path, pem)
    _check_dates(path, tls)
    return Pin(path, pem, tls)


def _refused(path: str, reason: str, hint: str = _HINT) -> KumaError:
    return KumaError(f"the pinned certificate {path} is refused: {reason}. {hint}")


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise KumaError(
            f"could not read the pinned certificate: {path}: {reason}. "
            "Check the path given with --ca-cert-file and who may read it."
        ) from error
    if len(text) > LARGEST:
        raise _refused(path, "the file is larger than 1 MiB")
    return text.decode("latin-1")


def _context(path: str, pem: str) -> SSLContext:
    import ssl

    try:
        made = ssl.create_default_context(cadata=pem)
    except (OSError, ValueError) as error:
        raise _refused(path, "it cannot be read") from error
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as Envoy: what is pinned need not be self-signed
    return made


def _check_dates(path: str, made: SSLContext) -> None:
    """Refuse a file of which no certificate is valid now; of what is no authority, OpenSSL tells no dates."""
    from ssl import cert_time_to_seconds

    found = made.get_ca_certs()
    if len(found) < made.cert_store_stats()["x509"]:
        return
    begin = min((str(item["notBefore"]) for item in found), key=cert_time_to_seconds)
    end = max((str(item["notAfter"]) for item in found), key=cert_time_to_seconds)
    if cert_time_to_seconds(end) <= time.time():
        raise _refused(path, f"it expired on {end}")
    if cert_time_to_seconds(begin) > time.time():
        raise _refused(path, f"it is not valid before {begin}", "Look at the clock of this machine.")


def _bodies(pem: str) -> set[str]:
    return {"".join(block.split()) for block in _BLOCK.findall(pem)}
