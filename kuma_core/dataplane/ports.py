"""Where Envoy may listen: a range of ports for its admin API, as the operator writes it, which are free; and IPv6."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

from kuma_core.errors import KumaError

ADDRESS = "127.0.0.1"
HIGHEST = 65535
MOST_CANDIDATES = 128
"""How many free ports the control plane may choose from: the Dataplane may use some of them."""
_RANGE = re.compile(r"([0-9]{1,5})?(-)?([0-9]{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PortRange:
    """The ports from ``low`` to ``high``, both included, within 1 to 65535."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


def parse_range(text: str) -> PortRange | None:
    """Read ``8080``, ``8080-8081``, ``8080-`` or ``-8080``; ``""``, ``-`` and ``0`` are None: no admin API.

    Raises ``ValueError`` with a sentence that shows the valid forms. ``0`` is 0.3.1's way to say "off".
    """
    if text in ("", "-", "0"):
        return None
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(_invalid(text))
    low, dash, high = match.groups()
    first = int(low) if low else 1
    last = int(high) if high else (HIGHEST if dash else first)
    if not 1 <= first <= last <= HIGHEST:
        raise ValueError(_invalid(text))
    return PortRange(first, last)


def _invalid(text: str) -> str:
    return (
        f'invalid value "{text}". Valid port range formats: "8080", "8080-8081", "8080-", "-8080", '
        '"" (empty range), "-" (empty range). Valid port values are 1-65535.'
    )


def free_ports(ports: PortRange) -> list[int]:
    """The lowest ports of the range, some hundred at most, on which 127.0.0.1 can be listened to at this moment.

    Ascending, so that a restart finds the same port again; several, for the Dataplane may use the first ones
    otherwise. Raises ``KumaError`` if there is none.
    """
    found: list[int] = []
    reason = ""
    for port in range(ports.low, ports.high + 1):
        try:
            _listen(port)
        except OSError as error:
            reason = f"{ADDRESS}:{port}: {error.strerror}"
        else:
            found.append(port)
        if len(found) == MOST_CANDIDATES:
            break
    if found:
        return found
    raise KumaError(
        f'unable to find a free port in the range "{ports}" for Envoy Admin API to listen on: {reason}. '
        "Name another port or a wider range with --admin-port, or leave it away to run without the admin API."
    )


def _listen(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # Envoy sets it, too: connections of an earlier Envoy that only wait to be forgotten do no harm
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((ADDRESS, port))
        server.listen(1)


def has_ipv6() -> bool:
    """Whether Envoy can listen on ::1, as it has to for connections by IPv6 that are redirected on their way out."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
