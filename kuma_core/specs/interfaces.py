"""The interface strings of a Dataplane: ``IP:PORT:WORKLOADPORT`` and ``[IP]:PORT``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

LOOPBACK = "127.0.0.1"
ANY_ADDRESS = "0.0.0.0"
"""Every address of the machine, for who listens; for who connects it is none."""

_IP = r"(\d{1,3}(?:\.\d{1,3}){3})"
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


@dataclass(frozen=True, slots=True)
class OutboundInterface:
    """Where the proxy listens for its own service's calls."""

    ip: str
    port: int


REMEMBERED = 65_536
"""How many of the latest texts are known by heart: some 400 bytes each, as only short texts are of the form."""


@lru_cache(REMEMBERED)
def parse_inbound(text: str) -> InboundInterface:
    """Read an inbound interface; raises ``ValueError`` with the expected format."""
    match = _INBOUND.fullmatch(text)
    if not match:
        raise ValueError(INBOUND_FORMAT)
    ip, port, workload = match.groups()
    if not (_is_ip(ip) and _is_port(port) and _is_port(workload)):
        raise ValueError(INBOUND_FORMAT)
    return InboundInterface(_canonical(ip), int(port), int(workload))


@lru_cache(REMEMBERED)
def parse_outbound(text: str) -> OutboundInterface:
    """Read an outbound interface; a missing IP is loopback. Raises ``ValueError`` likewise."""
    match = _OUTBOUND.fullmatch(text)
    if not match:
        raise ValueError(OUTBOUND_FORMAT)
    ip, port = match.groups()
    if not (_is_port(port) and (ip is None or _is_ip(ip))):
        raise ValueError(OUTBOUND_FORMAT)
    return OutboundInterface(_canonical(ip) if ip else LOOPBACK, int(port))


def _is_ip(text: str) -> bool:
    return all(int(octet) <= 255 for octet in text.split("."))


def _is_port(text: str) -> bool:
    return 1 <= int(text) <= 65535


def _canonical(ip: str) -> str:
    """Without leading zeros: the grammar tolerates them, Envoy does not."""
    return ".".join(str(int(octet)) for octet in ip.split("."))
