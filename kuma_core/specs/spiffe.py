"""SPIFFE ids, the names in certificates: whoever writes or compares one gets it here."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

LONGEST = 2048
"""Bytes; the standard lets whoever reads an id refuse a longer one."""

_PLAIN = "/:@!$&'()*+,;="
"""What a path holds as it is, beside letters, digits and ``-._~`` (RFC 3986, 3.3)."""


def trust_domain_id(mesh: str) -> str:
    """The id of a mesh, which its authority has."""
    return f"spiffe://{mesh}"


def spiffe_id(mesh: str, service: str) -> str:
    """The id of a service, with everything percent-encoded that a URI cannot hold; no two services share one."""
    return f"{trust_domain_id(mesh)}/{quote(service, safe=_PLAIN, errors='surrogatepass')}"


def provable(mesh: str, services: Iterable[str]) -> tuple[str, ...]:
    """The ids that a certificate for these services holds: those that one can hold."""
    return tuple(spiffe_id(mesh, service) for service in services if not id_problem(mesh, service))


def id_problem(mesh: str, service: str) -> str:
    """Why no certificate can hold the id of a service; empty if one can."""
    try:
        service.encode()
    except UnicodeEncodeError:
        return "is no UTF-8, so that no certificate can hold it"
    length = len(spiffe_id(mesh, service))
    if length > LONGEST:
        return (
            f"is too long for a certificate: its id {trust_domain_id(mesh)}/… has {length} bytes of {LONGEST}"
        )
    return ""
