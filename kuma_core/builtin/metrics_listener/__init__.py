"""The listener by which Prometheus scrapes an Envoy, where the Mesh asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.xds.contract import Draft, Generator, ProxyView


@hookimpl
def kuma_register_generators() -> Iterable[Generator]:
    """A listener beside the proxy's own, and a cluster for Envoy's admin port."""
    from kuma_core.xds.contract import Generator

    return [Generator("metrics", 100, _generate)]


def _generate(view: ProxyView) -> Iterable[Draft]:
    """Import when called: phase 1 loads no Envoy message."""
    from kuma_core.builtin.metrics_listener.generator import generate_metrics

    return generate_metrics(view)
