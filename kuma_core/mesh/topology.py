"""From Dataplanes to the endpoints that they offer."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.mesh.contract import Endpoint, EndpointSet
from kuma_core.specs.dataplane import SERVICE, DataplaneSpec
from kuma_core.specs.interfaces import ANY_ADDRESSES
from kuma_core.specs.tags import sorted_tags

EMPTY = EndpointSet(())


def endpoints_of(dataplane: DataplaneSpec) -> Iterable[tuple[str, Endpoint]]:
    """Every inbound as ``(service, endpoint)``. A gateway offers nothing.

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
