"""The control planes over one store: leases, records of who lives, and deletions that one begins and any can finish."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.cluster.feature import ClusterFeature
    from kuma_core.model import ResourceType
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """What control planes keep for each other."""
    from kuma_core.builtin.cluster.kinds import CLUSTER_KINDS

    return CLUSTER_KINDS


@hookimpl
def kuma_open(context: Context) -> ClusterFeature:
    """This control plane's record, the lease of the leader, and the deletions of meshes."""
    from kuma_core.builtin.cluster.feature import ClusterFeature

    return ClusterFeature(context)
