"""The annotations that a Pod gets: for the control plane, for whoever looks, and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.sdk import Config
from kuma_injector_k8s import settings
from kuma_injector_k8s.injection.pods import MESH, Object, annotations_of, member

PROMETHEUS = "prometheus.io"
OVERRIDES = "prometheus.metrics.kuma.io"

DEFAULT_PORT, DEFAULT_PATH = 5670, "/metrics"
"""What a Mesh that names none has; its defaults are written with it, unless admission was not asked."""


def wanted(pod: Object, mesh: str, spec: Object, config: Config) -> dict[str, str]:
    """What the annotations have to say, for a Pod of a mesh with this content."""
    return {
        MESH: mesh,
        "kuma.io/sidecar-injected": "true",
        "kuma.io/transparent-proxying": "enabled",
        "kuma.io/transparent-proxying-port": str(config.number(f"{settings.SIDECAR}.redirectPort")),
        **dict(_for_prometheus(annotations_of(pod), member(spec, "metrics"))),
    }


def _for_prometheus(there: Object, metrics: Object) -> Iterator[tuple[str, str]]:
    """Where Prometheus scrapes the sidecar, unless the Pod says anything of that itself."""
    if metrics.get("prometheus") is None or any(f"{PROMETHEUS}/{key}" in there for key in _KEYS):
        return
    found = member(metrics, "prometheus")
    yield f"{PROMETHEUS}/scrape", "true"
    for key, default in (("path", DEFAULT_PATH), ("port", str(DEFAULT_PORT))):
        yield f"{PROMETHEUS}/{key}", str(there.get(f"{OVERRIDES}/{key}") or found.get(key) or default)


_KEYS = ("scrape", "path", "port")
