"""Which stage of a rotation all proxies of each control plane have acknowledged, as the control planes note it."""

from __future__ import annotations

from collections.abc import Mapping

from kuma_core.builtin.cluster.contract import Cluster

TOPIC = "ca-rotations"


class Settled:
    """Notes by mesh. Safe for use from several threads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.own_id = cluster.own_id

    def settle(self, mesh: str, stage: str) -> None:
        """Tell that all proxies here have acknowledged a stage; ``""`` forgets the mesh."""
        self._cluster.note(TOPIC, mesh, stage)

    def all(self) -> Mapping[str, Mapping[str, str]]:
        """The stages by control plane and mesh. Raises ``StoreUnavailable``."""
        return self._cluster.notes(TOPIC)

    def by_instance(self, mesh: str, stage: str) -> Mapping[str, bool]:
        """Whether all proxies of each control plane have acknowledged a stage. Raises ``StoreUnavailable``."""
        return {id: noted.get(mesh) == stage for id, noted in self.all().items()}
