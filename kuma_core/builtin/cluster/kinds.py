"""The kinds that control planes over one store keep for each other."""

from __future__ import annotations

from typing import Any

from kuma_core.builtin.cluster.specs import InstanceSpec, LeaseSpec
from kuma_core.model import ResourceType, Scope


def _internal(name: str, path: str, singular: str, spec: type[Any]) -> ResourceType:
    """A kind that no API shows, and that nobody watches: who cares for it looks at it from time to time."""
    return ResourceType(
        name=name,
        path=path,
        singular=singular,
        spec=spec,
        scope=Scope.GLOBAL,
        read_only=True,
        served=False,
        affects_proxies=False,
        watched=False,
    )


LEASE = _internal("Lease", "leases", "lease", LeaseSpec)
INSTANCE = _internal("Instance", "instances", "instance", InstanceSpec)
MESH_DELETION = _internal("MeshDeletion", "mesh-deletions", "mesh-deletion", LeaseSpec)

CLUSTER_KINDS = (LEASE, INSTANCE, MESH_DELETION)
