"""The kinds that control planes over one store keep for each other (architecture, 4)."""

from __future__ import annotations

from typing import Any

from kuma_core.model import ResourceType, Scope
from kuma_core.specs.cluster import InstanceSpec, LeaseSpec


def _internal(name: str, path: str, singular: str, spec: type[Any]) -> ResourceType:
    """A kind that no API shows and no proxy is touched by."""
    return ResourceType(
        name=name,
        path=path,
        singular=singular,
        spec=spec,
        scope=Scope.GLOBAL,
        read_only=True,
        served=False,
        affects_proxies=False,
    )


LEASE = _internal("Lease", "leases", "lease", LeaseSpec)
INSTANCE = _internal("Instance", "instances", "instance", InstanceSpec)
MESH_DELETION = _internal("MeshDeletion", "mesh-deletions", "mesh-deletion", LeaseSpec)

CLUSTER_KINDS = (LEASE, INSTANCE, MESH_DELETION)

UNTOLD = tuple(kind.name for kind in CLUSTER_KINDS)
"""Nobody needs to be told of writes of these: who cares for them looks at them from time to time."""
