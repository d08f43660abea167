"""The feature: its parts share this control plane's record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kuma_core.builtin.cluster.components import DeletionFinisher, Heartbeat, InstanceWatch
from kuma_core.builtin.cluster.deletions import MeshDeletions
from kuma_core.builtin.cluster.instances import Instances
from kuma_core.builtin.cluster.kinds import LEASE
from kuma_core.builtin.cluster.leases import Lease
from kuma_core.plugin.contract import Component, Context, Leadership, Metric
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.specs.mesh import MESH
from kuma_core.xds.contract import Streams

LEADER = "leader"
"""The name of the lease."""

LENGTH_SECONDS = 15.0
"""How long a leader may stand still before another control plane takes over."""


class OpenedCluster:
    """What the feature offers; see ``Cluster``."""

    def __init__(self, context: Context) -> None:
        self.instances = Instances(context.resources, context.instance_id)
        self.deletions = MeshDeletions(context.store, MESH, context.resources.owned_by_mesh)
        self.lease = Lease(context.store, LEASE, LEADER, context.instance_id, LENGTH_SECONDS)
        self.leadership: Leadership = context.leadership

    @property
    def own_id(self) -> str:
        """The id of this control plane."""
        return self.instances.own_id

    def store_problem(self) -> str:
        """Why the store did not take this control plane's last sign of life; empty if it did."""
        return self.instances.store_problem()

    def note(self, topic: str, key: str, value: str) -> None:
        """Have all control planes know something of this one."""
        self.instances.note(topic, key, value)

    def notes(self, topic: str) -> Mapping[str, Mapping[str, str]]:
        """What each control plane noted of a topic, by its id."""
        return {id: spec.notes.get(topic, {}) for id, spec in self.instances.all().items()}


class ClusterFeature:
    """What is open of the control planes over one store."""

    def __init__(self, context: Context) -> None:
        self.offer = OpenedCluster(context)
        self._resources, self._streams = context.resources, context.ask("streams", Streams)

    @hookimpl
    def kuma_prepare(self) -> None:
        """This control plane's record: the leader closes the insights of streams whose control plane has none."""
        self.offer.instances.beat()

    @hookimpl
    def kuma_register_components(self) -> Iterable[Component]:
        """What every control plane says of itself, and what the leader clears up after those that died."""
        return [
            Heartbeat(self.offer.instances, self._streams),
            InstanceWatch(self.offer.instances, self._resources),
            DeletionFinisher(self.offer.deletions),
        ]

    @hookimpl
    def kuma_register_metrics(self) -> Iterable[Metric]:
        """Whether this control plane leads."""
        words = "1 on the control plane that does what one alone may do."
        return [Metric("kuma_leader", words, self._leads)]

    def _leads(self) -> Iterator[tuple[tuple[str, ...], float]]:
        yield (), float(self.offer.leadership.leads)
