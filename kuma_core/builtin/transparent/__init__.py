"""The listener that takes redirected connections, for proxies that applications do not know of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.xds.contract import Draft, Generator, ProxyView


@hookimpl
def kuma_register_generators() -> Iterable[Generator]:
    """``catch_all``, which hands each connection to the listener of the address it was meant for."""
    from kuma_core.xds.contract import Generator

    return [Generator("transparent", 200, _generate)]


def _generate(view: ProxyView) -> Iterable[Draft]:
    """Import when called: phase 1 loads no Envoy message."""
    from kuma_core.builtin.transparent.generator import generate_transparent

    return generate_transparent(view)
