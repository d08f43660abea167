"""Where a Dataplane listens, and what cannot or should not listen there."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from kuma_core.errors import Severity, Violation
from kuma_core.specs.interfaces import ANY_ADDRESSES, LOOPBACK, before_a_port


@dataclass(frozen=True, slots=True)
class Place:
    """An address and a port, and the field of the Dataplane that names them.

    ``bound`` is False for a listener that is only handed connections, by the address that they were meant for. ``use``
    is what happens to connections there; ``workload`` is the port of the service to which an inbound leads.
    """

    field: str
    ip: str
    port: int
    bound: bool = True
    use: Hashable = None
    workload: int = 0

    def __str__(self) -> str:
        return f"{before_a_port(self.ip)}:{self.port}"

    def excludes(self, other: Place) -> bool:
        """Whether at most one of both can be there: 0.0.0.0, once bound, takes in every IPv4 address, and :: every
        IPv6 one."""
        if self.port != other.port or (":" in self.ip) != (":" in other.ip):
            return False
        wide = self.bound and other.bound and bool({self.ip, other.ip} & set(ANY_ADDRESSES))
        return wide or self.ip == other.ip


def workload(field: str, port: int) -> Place:
    """Where the service behind an inbound listens: on loopback, always."""
    return Place(field, LOOPBACK, port)


def place_problems(listeners: Iterable[Place], services: Iterable[Place]) -> Iterator[Violation]:
    """What speaks against the listeners of one proxy: each other, and the services behind it."""
    listeners = list(listeners)
    for place, earlier in _shared(listeners):
        yield _sharing(place, earlier)
    yield from _loops(listeners, services)


def _shared(listeners: Iterable[Place]) -> Iterator[tuple[Place, Place]]:
    """Every listener that an earlier one leaves no room for, with that one."""
    by_port: defaultdict[int, list[Place]] = defaultdict(list)
    for place in listeners:
        earlier = next((other for other in by_port[place.port] if place.excludes(other)), None)
        if earlier:
            yield place, earlier
        else:
            by_port[place.port].append(place)


def _sharing(place: Place, earlier: Place) -> Violation:
    if (place.ip, place.use) == (earlier.ip, earlier.use):
        message = f"{place} does what {earlier.field} does already; leave one of them out"
        return Violation(place.field, message, Severity.WARNING)
    if place.ip == earlier.ip and place.workload == earlier.workload != 0 and not place.bound:
        message = f"{place} is also the place of {earlier.field}: one listener serves both, with the policies of that"
        return Violation(place.field, message, Severity.WARNING)
    any_address = next((ip for ip in (place.ip, earlier.ip) if ip in ANY_ADDRESSES), "")
    wide = "" if place.ip == earlier.ip else f" ({earlier}), for {any_address} takes in every address"
    message = f"{place} is also the place of {earlier.field}{wide}; give each of them a port of its own"
    return Violation(place.field, message)


def _loops(listeners: Iterable[Place], services: Iterable[Place]) -> Iterator[Violation]:
    """Bound listeners where a service listens: only one of both can, and the proxy would call itself."""
    by_port = {service.port: service for service in reversed(list(services))}
    for place in listeners:
        service = by_port.get(place.port)
        if place.bound and service and place.excludes(service):
            whose = "its own service" if service.field == place.field else f"the service of {service.field}"
            yield Violation(place.field, f"{place} is where {whose} listens ({service}); {_ELSEWHERE}")


_ELSEWHERE = "give the proxy another port, or another address of the machine"


def address_problems(place: Place, written: str) -> Iterator[Violation]:
    """What is wrong, or easily misread, with the address of an interface, ``written`` in the document."""
    address, text = ipaddress.ip_address(place.ip), written.partition(":")[0]
    kind = "a multicast" if address.is_multicast else "the broadcast" if address == _BROADCAST else ""
    if kind:
        message = f"{place.ip} is {kind} address, to which nobody can connect; name an address of the machine"
        yield Violation(place.field, message)
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_link_local:
            yield Violation(place.field, f"{place.ip} {_LINK_LOCAL}")
        if address.ipv4_mapped:
            yield Violation(place.field, f"{place.ip} stands for {address.ipv4_mapped}; write it so")
    elif text not in ("", place.ip):
        message = f"{text} is read as {place.ip}; write it without leading zeros, which others take for octal"
        yield Violation(place.field, message, Severity.WARNING)


_LINK_LOCAL = "is of one network of the machine, which cannot be named here; name another of its addresses"
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
