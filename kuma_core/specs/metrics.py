"""Where a proxy offers its metrics: part of the specs of Mesh and Dataplane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from kuma_core.errors import Violation
from kuma_core.specs.base import Spec, UInt32
from kuma_core.specs.bounds import PORT, out_of_bounds

DEFAULT_PORT = 5670
DEFAULT_PATH = "/metrics"


class Prometheus(Spec):
    """A port on every address of the proxy, and the path there; 0 and ``""`` leave it to somebody else."""

    port: Annotated[UInt32, PORT] = 0
    path: str = ""

    def or_else(self, port: int, path: str) -> Prometheus:
        """The same with what it leaves open."""
        return Prometheus(port=self.port or port, path=self.path or path)


class Metrics(Spec):
    """A choice of one way to offer metrics."""

    prometheus: Prometheus | None = None


def offered_metrics(mesh: Metrics | None, own: Metrics | None) -> Prometheus | None:
    """What a Mesh says, with what a Dataplane says differently; a Dataplane cannot switch it on."""
    if mesh is None or mesh.prometheus is None:
        return None
    return ((own and own.prometheus) or Prometheus()).or_else(mesh.prometheus.port, mesh.prometheus.path)


def metrics_problems(metrics: Metrics | None) -> Iterator[Violation]:
    """What an Envoy would refuse, or never answer."""
    prometheus = (metrics and metrics.prometheus) or Prometheus()
    yield from out_of_bounds(prometheus, "metrics.prometheus")
    if prometheus.path and not prometheus.path.startswith("/"):
        yield Violation("metrics.prometheus.path", "has to begin with /")


def metrics_with_defaults(metrics: Metrics) -> Metrics:
    """As a Mesh is stored: where Prometheus is on, it has a port and a path."""
    if metrics.prometheus is None:
        return metrics
    return Metrics(prometheus=metrics.prometheus.or_else(DEFAULT_PORT, DEFAULT_PATH))
