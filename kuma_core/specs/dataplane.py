"""The spec of a Dataplane (API specification, 1.4 and 4.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from pydantic import Field

from kuma_core.errors import Violation
from kuma_core.specs.base import Spec, Tags, UInt32
from kuma_core.specs.interfaces import (
    InboundInterface,
    OutboundInterface,
    parse_inbound,
    parse_outbound,
)
from kuma_core.specs.metrics import HIGHEST_PORT, Metrics, metrics_problems

SERVICE = "service"
NO_TAGS: Mapping[str, str] = MappingProxyType({})


class Inbound(Spec):
    """A port of the service, as others reach it through the proxy."""

    interface: str = ""
    tags: Tags = Field(default_factory=lambda: NO_TAGS)

    @property
    def address(self) -> InboundInterface:
        """The parsed interface; only for specs that passed validation."""
        return parse_inbound(self.interface)


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

    redirect_port: UInt32 = 0


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

    def violations(self) -> Iterator[Violation]:
        """Section 4.4, with gateways."""
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
        if self.redirect_port > HIGHEST_PORT:
            yield Violation("networking.transparentProxying.redirectPort", "has to be in range of [0, 65535]")
        yield from metrics_problems(self.metrics)


def _inbound_problems(path: str, inbound: Inbound) -> Iterator[Violation]:
    try:
        parse_inbound(inbound.interface)
    except ValueError as error:
        yield Violation(f"{path}.interface", str(error))
    yield from _tag_problems(f"{path}.tags", inbound.tags)


def _outbound_problems(path: str, outbound: Outbound) -> Iterator[Violation]:
    try:
        parse_outbound(outbound.interface)
    except ValueError as error:
        yield Violation(f"{path}.interface", str(error))
    if not outbound.service:
        yield Violation(f"{path}.service", "cannot be empty")


def _tag_problems(path: str, tags: Mapping[str, str]) -> Iterator[Violation]:
    if SERVICE not in tags:
        yield Violation(f'{path}["{SERVICE}"]', "tag has to exist")
    for key in sorted(tags):
        if not tags[key]:
            yield Violation(f'{path}["{key}"]', "tag value cannot be empty")
