"""What every proxy has: its inbounds and outbounds, and the certificate by which it knows the control plane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.proxies.feature import ProxiesFeature
    from kuma_core.plugin.contract import Context
    from kuma_core.resources.contract import OwnSecret
    from kuma_core.xds.contract import Draft, Generator, ProxyView


@hookimpl
def kuma_register_secrets() -> Iterable[OwnSecret]:
    """The root of the control plane's own TLS, which every start reads."""
    from kuma_core.ca.own_secret import OWN_SECRET

    return [OWN_SECRET]


@hookimpl
def kuma_register_generators() -> Iterable[Generator]:
    """A listener for each inbound and each outbound, and the clusters behind them."""
    from kuma_core.xds.contract import Generator

    return [Generator("inbound", 300, _inbound), Generator("outbound", 400, _outbound)]


def _inbound(view: ProxyView) -> Iterable[Draft]:
    """Import when called: phase 1 loads no Envoy message."""
    from kuma_core.xds.generators.inbound import generate_inbound

    return generate_inbound(view)


def _outbound(view: ProxyView) -> Iterable[Draft]:
    from kuma_core.xds.generators.outbound import generate_outbound

    return generate_outbound(view)


@hookimpl
def kuma_open(context: Context) -> ProxiesFeature:
    """What the control plane tells proxies of itself."""
    from kuma_core.builtin.proxies.feature import ProxiesFeature

    return ProxiesFeature(context)
