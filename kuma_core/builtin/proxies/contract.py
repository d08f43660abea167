"""What the kernel offers to the feature that serves proxies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from kuma_core.plugin.contract import GrpcServer


@runtime_checkable
class ProxyServing(Protocol):
    """The streams of proxies."""

    def servers(self) -> Iterator[GrpcServer]:
        """ADS and SDS."""
        ...
