"""The spec of a Dataplane."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, TypeVar

from pydantic import Field

from kuma_core.errors import Severity, Violation
from kuma_core.specs.base import Spec, Tags, UInt32
from kuma_core.specs.bounds import PORT, out_of_bounds
from kuma_core.specs.interfaces import (
    ANY_ADDRESS,
    ANY_ADDRESSES,
    InboundInterface,
    OutboundInterface,
    parse_inbound,
    parse_outbound,
)
from kuma_core.specs.metrics import Metrics, metrics_problems
from kuma_core.specs.places import Place, address_problems, place_problems, workload
from kuma_core.specs.tags import ANY, odd_text

T = TypeVar("T")

DATAPLANE = "Dataplane"
"""The kind."""

SERVICE = "service"
REDIRECT_PORT = "networking.transparentProxying.redirectPort"
NO_TAGS: Mapping[str, str] = MappingProxyType({})


class Inbound(Spec):
    """A port of the service, as others reach it through the proxy."""

    interface: str = ""
    tags: Tags = Field(default_factory=lambda: NO_TAGS)

    @property
    def address(self) -> InboundInterface:
        """The parsed interface; only for specs that passed validation."""
        return parse_inbound(self.interface)

    @property
    def use(self) -> Hashable:
        """What happens to connections there: who they are for, and where they go."""
        return self.interface.rpartition(":")[2], self.tags.get(SERVICE)


class Outbound(Spec):
    """A port of the proxy at which the service reaches another one."""

    interface: str = ""
    service: str = ""
    service_port: UInt32 = 0

    @property
    def address(self) -> OutboundInterface:
        """The parsed interface; only for specs that passed validation."""
        return parse_outbound(self.interface)


class Gateway(Spec):
    """A proxy that only calls others: it has tags of its own instead of inbounds."""

    tags: Tags = Field(default_factory=lambda: NO_TAGS)


class TransparentProxying(Spec):
    """Where redirected traffic arrives; written by the Kubernetes side."""

    redirect_port: Annotated[UInt32, PORT] = 0


class Networking(Spec):
    """Everything that a proxy listens on."""

    inbound: tuple[Inbound, ...] = ()
    outbound: tuple[Outbound, ...] = ()
    transparent_proxying: TransparentProxying | None = None
    gateway: Gateway | None = None


class DataplaneSpec(Spec):
    """One proxy beside one instance of a service."""

    networking: Networking = Networking()
    metrics: Metrics | None = None

    @property
    def redirect_port(self) -> int:
        """Where redirected connections arrive; 0 without transparent proxying."""
        transparent = self.networking.transparent_proxying
        return transparent.redirect_port if transparent else 0

    def services(self) -> tuple[str, ...]:
        """The values of the ``service`` tag of all inbounds and the gateway, sorted, without repetition."""
        return tuple(sorted({tags[SERVICE] for tags in self.tag_sets() if SERVICE in tags}))

    def tag_sets(self) -> Iterator[Mapping[str, str]]:
        """The tags of each inbound, and those of the gateway."""
        for inbound in self.networking.inbound:
            yield inbound.tags
        if self.networking.gateway:
            yield self.networking.gateway.tags

    def listeners(self) -> list[Place]:
        """Where the proxy listens, for others and for its own service.

        An interface that cannot be read is left out. With transparent proxying nothing is bound but the port for
        redirected connections.
        """
        bound, found = not self.redirect_port, []
        for field, inbound, item in self._inbounds():
            found.append(Place(field, item.ip, item.port, bound, inbound.use, item.workload_port))
        for index, outbound in enumerate(self.networking.outbound):
            if place := _readable(parse_outbound, outbound.interface):
                field = f"networking.outbound[{index}].interface"
                found.append(Place(field, place.ip, place.port, bound, outbound.service))
        if self.redirect_port:
            found.append(Place(REDIRECT_PORT, ANY_ADDRESS, self.redirect_port))
        return found

    def workloads(self) -> list[Place]:
        """Where the services behind the inbounds listen."""
        return [workload(field, item.workload_port) for field, _, item in self._inbounds()]

    def _inbounds(self) -> Iterator[tuple[str, Inbound, InboundInterface]]:
        for index, inbound in enumerate(self.networking.inbound):
            if found := _readable(parse_inbound, inbound.interface):
                yield f"networking.inbound[{index}].interface", inbound, found

    def user_of(self, port: int) -> str:
        """The field that says that a port is in use, whatever the address; empty if none does."""
        places = (*self.listeners(), *self.workloads())
        return next((place.field for place in places if place.port == port), "")

    def violations(self) -> Iterator[Violation]:
        """Rules of single fields, with gateways; then what cannot be together at one place."""
        networking = self.networking
        if not networking.inbound and networking.gateway is None:
            yield Violation("networking", "has to contain at least one inbound interface or gateway")
        if networking.inbound and networking.gateway is not None:
            yield Violation("networking", "inbound cannot be defined both with gateway")
        if networking.gateway is not None:
            yield from _tag_problems("networking.gateway.tags", networking.gateway.tags)
        for index, inbound in enumerate(networking.inbound):
            yield from _inbound_problems(f"networking.inbound[{index}]", inbound)
        for index, outbound in enumerate(networking.outbound):
            yield from _outbound_problems(f"networking.outbound[{index}]", outbound)
        if networking.transparent_proxying:
            yield from out_of_bounds(networking.transparent_proxying, "networking.transparentProxying")
        yield from place_problems(self.listeners(), self.workloads())
        yield from metrics_problems(self.metrics)
        yield from self._metrics_doubts()

    def _metrics_doubts(self) -> Iterator[Violation]:
        port = self.metrics.prometheus.port if self.metrics and self.metrics.prometheus else 0
        if port and (user := self.user_of(port)):
            message = f"{port} is also a port of {user}, so there are no metrics; name one that is free"
            yield Violation("metrics.prometheus.port", message, Severity.WARNING)


def _readable(parse: Callable[[str], T], interface: str) -> T | None:
    try:
        return parse(interface)
    except ValueError:
        return None


def _inbound_problems(path: str, inbound: Inbound) -> Iterator[Violation]:
    field = f"{path}.interface"
    try:
        found = parse_inbound(inbound.interface)
        yield from address_problems(Place(field, found.ip, found.port), inbound.interface)
        if found.ip in ANY_ADDRESSES:
            yield Violation(field, f"{found.ip} {_NOBODY_REACHES}", Severity.WARNING)
    except ValueError as error:
        yield Violation(field, str(error))
    yield from _tag_problems(f"{path}.tags", inbound.tags)


_NOBODY_REACHES = (
    "is no address that others can connect to, so they are not sent to this inbound; name the address of the "
    "machine at which they reach it"
)
_EVERYBODY_CALLS = (
    "lets everybody who reaches this machine call as its service; leave the address away, and only the machine "
    "itself can"
)
_NAME_IT = '"*" stands for any value, which selectors alone can ask for; name the service'


def _outbound_problems(path: str, outbound: Outbound) -> Iterator[Violation]:
    field = f"{path}.interface"
    try:
        found = parse_outbound(outbound.interface)
        yield from address_problems(Place(field, found.ip, found.port), outbound.interface)
        if found.ip in ANY_ADDRESSES:
            yield Violation(field, f"{found.ip} {_EVERYBODY_CALLS}", Severity.WARNING)
    except ValueError as error:
        yield Violation(field, str(error))
    if not outbound.service:
        yield Violation(f"{path}.service", "cannot be empty")
    if outbound.service == ANY:
        yield Violation(f"{path}.service", _NAME_IT)
    yield from odd_text(f"{path}.service", outbound.service)


def _tag_problems(path: str, tags: Mapping[str, str]) -> Iterator[Violation]:
    if SERVICE not in tags:
        yield Violation(f'{path}["{SERVICE}"]', "tag has to exist")
    for key in sorted(tags):
        if not tags[key]:
            yield Violation(f'{path}["{key}"]', "tag value cannot be empty")
        yield from odd_text(f'{path}["{key}"]', tags[key])
    if tags.get(SERVICE) == ANY:
        yield Violation(f'{path}["{SERVICE}"]', _NAME_IT)
