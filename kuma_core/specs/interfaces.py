"""The interface strings of a Dataplane: ``IP:PORT:WORKLOADPORT``, and ``IP:PORT`` or ``:PORT``.

An IPv6 address stands in brackets, as in ``[::1]:8000:8080``.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

LOOPBACK = "127.0.0.1"
LOOPBACKS = (LOOPBACK, "::1")
"""The machine itself, for IPv4 and IPv6."""
ANY_ADDRESS = "0.0.0.0"
ANY_ADDRESSES = (ANY_ADDRESS, "::")
"""Every address of the machine, of a family, for who listens; for who connects they are none."""

_IP = r"(\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]{2,45}\])"
_PORT = r"(\d{1,5})"
_INBOUND = re.compile(rf"{_IP}:{_PORT}:{_PORT}", re.ASCII)
_OUTBOUND = re.compile(rf"{_IP}?:{_PORT}", re.ASCII)

INBOUND_FORMAT = (
    "invalid format: expected format is DATAPLANE_IP:DATAPLANE_PORT:WORKLOAD_PORT ex. 192.168.0.100:9090:8080"
)
OUTBOUND_FORMAT = (
    "invalid format: expected format is IP_ADDRESS:PORT where IP_ADDRESS is optional. "
    "ex. 192.168.0.100:9090 or :9090"
)


@dataclass(frozen=True, slots=True)
class InboundInterface:
    """Where the proxy listens for a service, and the port of the service on loopback."""

    ip: str
    port: int
    workload_port: int

    @property
    def host(self) -> str:
        """The IP as it stands before a colon and a port."""
        return before_a_port(self.ip)


@dataclass(frozen=True, slots=True)
class OutboundInterface:
    """Where the proxy listens for its own service's calls."""

    ip: str
    port: int

    @property
    def host(self) -> str:
        """The IP as it stands before a colon and a port."""
        return before_a_port(self.ip)


REMEMBERED = 65_536
"""How many of the latest texts are known by heart: some 400 bytes each, as only short texts are of the form."""


@lru_cache(REMEMBERED)
def parse_inbound(text: str) -> InboundInterface:
    """Read an inbound interface; raises ``ValueError`` with the expected format."""
    match = _INBOUND.fullmatch(text)
    if not match:
        raise ValueError(INBOUND_FORMAT)
    ip, port, workload = _canonical(match[1]), match[2], match[3]
    if not (ip and _is_port(port) and _is_port(workload)):
        raise ValueError(INBOUND_FORMAT)
    return InboundInterface(ip, int(port), int(workload))


@lru_cache(REMEMBERED)
def parse_outbound(text: str) -> OutboundInterface:
    """Read an outbound interface; a missing IP is loopback. Raises ``ValueError`` likewise."""
    match = _OUTBOUND.fullmatch(text)
    if not match:
        raise ValueError(OUTBOUND_FORMAT)
    ip, port = _canonical(match[1]) if match[1] else LOOPBACK, match[2]
    if not (ip and _is_port(port)):
        raise ValueError(OUTBOUND_FORMAT)
    return OutboundInterface(ip, int(port))


def _is_port(text: str) -> bool:
    return 1 <= int(text) <= 65535


def _canonical(ip: str) -> str:
    """The IP in its one form, or ``""`` if it is none. IPv4 may have leading zeros, which Envoy does not take."""
    plain = ip.strip("[]") if ip[0] == "[" else ".".join(str(int(octet)) for octet in ip.split("."))
    try:
        return str(ipaddress.ip_address(plain)) if (":" in plain) == (ip[0] == "[") else ""
    except ValueError:
        return ""


def before_a_port(ip: str) -> str:
    """An IP as it stands before a colon and a port: IPv6 in brackets."""
    return f"[{ip}]" if ":" in ip else ip
