"""The spec of a TrafficPermission."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.sdk import Spec, Violation
from kuma_policy_traffic.selectors import Selectors, connection_problems


class TrafficPermissionSpec(Spec):
    """Services that may call services while the mesh has mTLS on. Permissions add up."""

    sources: Selectors = ()
    destinations: Selectors = ()

    def violations(self) -> Iterator[Violation]:
        """Both ends are told by their service alone: certificates prove nothing else."""
        return connection_problems(self.sources, self.destinations, service_only_sources=True)
