"""Hosts as an operator writes them: a name, an IPv4 address or an IPv6 address, alone or with a port."""

from __future__ import annotations

import ipaddress
import re

_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?", re.ASCII)
_HOST = re.compile(
    r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:\[\]/]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
LONGEST = 253


def host_problem(text: str) -> str | None:
    """Why a text is no host alone, or ``None``: a name or an address, an IPv6 address with or without brackets."""
    if is_ipv6(text[1:-1] if text[:1] + text[-1:] == "[]" else text):
        return None
    if not text:
        return "is empty"
    if "://" in text:
        return "has a scheme; leave it out"
    if "/" in text:
        return "has a slash; leave it out"
    if "," in text:
        return "names several hosts; name one"
    if re.fullmatch(r"[^:]*:[0-9]+", text):
        return "has a port; leave it out"
    if len(text) > LONGEST or not _NAME.fullmatch(text):
        return "is no host name and no IP address"
    return None


def is_ipv6(text: str) -> bool:
    """Whether a text is an IPv6 address without brackets."""
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def in_url(host: str) -> str:
    """The host as a URL has it: an IPv6 address stands in brackets, written so or not."""
    return f"[{host}]" if is_ipv6(host) else host


def parse_hosts(text: str, port: int) -> tuple[tuple[str, int], ...]:
    """Read ``host[:port],…``; ``port`` is for those without one. Raises ``ValueError`` with what is wrong.

    An IPv6 address stands in brackets: without them nobody knows where its port begins.
    """
    hosts = []
    for item in text.split(","):
        found = _HOST.fullmatch(item.strip())
        if not found or (found["ipv6"] and not is_ipv6(found["ipv6"])):
            raise ValueError(f'"{text:.200}" is not a list of host or host:port, separated by commas')
        number = int(found["port"] or port)
        if not 1 <= number <= 65535:
            raise ValueError(f'"{text:.200}" has a port outside of the range [1, 65535]')
        hosts.append((found["ipv6"] or found["host"], number))
    return tuple(hosts)
