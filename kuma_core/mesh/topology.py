"""Who offers a service: endpoints, sorted and frozen, so that equal ones are equal bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kuma_core.specs.dataplane import SERVICE, DataplaneSpec
from kuma_core.specs.interfaces import ANY_ADDRESSES
from kuma_core.specs.tags import TagPairs, sorted_tags


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One inbound as others reach it: address, port and all of its tags, sorted by key."""

    ip: str
    port: int
    tags: TagPairs


@dataclass(frozen=True, slots=True)
class EndpointSet:
    """The endpoints of one destination, sorted, without repetition. Hashed once, compared often."""

    endpoints: tuple[Endpoint, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.endpoints))

    def __hash__(self) -> int:
        return self._hash


EMPTY = EndpointSet(())


def endpoints_of(dataplane: DataplaneSpec) -> Iterable[tuple[str, Endpoint]]:
    """Every inbound as ``(service, endpoint)``. A gateway offers nothing (data plane, 1.3).

    Nor does an inbound that others cannot reach: one on 0.0.0.0 or ::, where they would find their own machine, and
    one at the place of an earlier one with another service behind it, which would answer.
    """
    served: dict[tuple[str, int], int] = {}
    for inbound in dataplane.networking.inbound:
        address = inbound.address
        behind = served.setdefault((address.ip, address.port), address.workload_port)
        if address.ip in ANY_ADDRESSES or behind != address.workload_port:
            continue
        yield inbound.tags[SERVICE], Endpoint(address.ip, address.port, sorted_tags(inbound.tags))


def endpoint_set(endpoints: Iterable[Endpoint]) -> EndpointSet:
    """The endpoints as a set that can be compared by content."""
    return EndpointSet(tuple(sorted(set(endpoints))))
