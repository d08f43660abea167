"""What the contract's tests may take of Kubernetes; the real API server and its double pass the same."""

from __future__ import annotations

from kuma_core.sdk import ResourceKey
from kuma_core.testing.stores import StoreSuite


class KubernetesSuite(StoreSuite):
    """Names have a namespace, are those of DNS, and are there once whatever the mesh is."""

    NAMES = ("b", "a.1", "aa", "a-1", "a1", "a", "10", "9", "z", "0")
    EQUAL_IS_A_WRITE = False
    BACKLOG = 60
    UPDATES = 12

    NAMESPACE = "default"

    def key(self, name: str, mesh: str = "default", type: str = "") -> ResourceKey:
        """Of another mesh, another name."""
        suffix = "" if mesh == "default" else f"-{mesh.replace('_', '-')}-{len(mesh.split('_'))}"
        return ResourceKey(type or self.THING, mesh, f"{name}{suffix}.{self.NAMESPACE}")
