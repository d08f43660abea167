"""Who offers a service: endpoints, frozen, so that equal ones are equal bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter

from kuma_core.specs.tags import TagPairs


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One inbound as others reach it: address, port and all of its tags, sorted by key."""

    ip: str
    port: int
    tags: TagPairs


def is_local(ip: str) -> bool:
    """Whether an IP address as endpoints have it is that of whoever dials it."""
    return ip.startswith(_LOCAL) or ip in _LOCAL_V6


_LOCAL, _LOCAL_V6 = ("127.", "0.", "::ffff:127.", "::ffff:0.", "::ffff:7f"), frozenset(("::1", "::"))
_SPANS = (("0.", "0/"), ("127.", "127/"), (":", ";"))
"""Between which texts such addresses stand; of thousands that are sorted, as a rule none has to be looked at."""
_ip = attrgetter("ip")


@dataclass(frozen=True, slots=True)
class EndpointSet:
    """The endpoints of one destination, sorted, without repetition. Hashed once, compared often."""

    endpoints: tuple[Endpoint, ...]
    local_ports: frozenset[int] = field(init=False, repr=False, compare=False)
    """The ports of endpoints at addresses that are the caller's own machine, whoever calls."""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.endpoints))
        object.__setattr__(self, "local_ports", frozenset(_local_ports(self.endpoints)))

    def __hash__(self) -> int:
        return self._hash


def _local_ports(endpoints: tuple[Endpoint, ...]) -> Iterator[int]:
    for first, behind in _SPANS:
        start, end = (bisect_left(endpoints, text, key=_ip) for text in (first, behind))
        yield from (item.port for item in endpoints[start:end] if is_local(item.ip))
