"""The control planes over one store: each says that it lives, and the leader clears up after those that died."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from kuma_core.builtin.cluster.deletions import MeshDeletions
from kuma_core.builtin.cluster.instances import Instances
from kuma_core.builtin.cluster.leases import Stillness
from kuma_core.errors import KumaError, NotFound, UnreadableResource
from kuma_core.lifecycle import Stop
from kuma_core.model import Resource
from kuma_core.resources.contract import Resources
from kuma_core.specs.insight import INSIGHT, InsightSpec, Subscription
from kuma_core.xds.contract import Streams

_log = structlog.get_logger("instances")

BEAT_SECONDS = 5.0
"""How often an instance says that it lives."""
RETRY_SECONDS = 1.0
"""How often while the store does not take it."""
DEAD_SECONDS = 20.0
"""After how long a silence the leader takes an instance for dead."""
LOOK_SECONDS = 10.0
"""How often the leader looks for dead instances."""
FINISH_SECONDS = 60.0
"""How often the leader looks for deletions of meshes that nobody finished."""


class Heartbeat:
    """A component: keeps this instance's record alive, and takes it away at the end."""

    name = "instance-heartbeat"
    leader_only = False

    def __init__(self, instances: Instances, streams: Streams) -> None:
        self._instances, self._streams = instances, streams

    def run(self, stop: Stop) -> None:
        """Beat until ``stop`` is set.

        If its record is gone, the leader took this instance for dead and closed its streams in the insights: it tells
        them anew."""
        while not stop.wait(RETRY_SECONDS if self._instances.store_problem() else BEAT_SECONDS):
            try:
                if not self._instances.beat():
                    _log.warning("this control plane was taken for dead and is back")
                    self._streams.tell_again()
            except KumaError as error:
                _log.warning("this control plane cannot say that it lives", problem=str(error))
        try:
            self._instances.leave()
        except KumaError as error:
            _log.info("the record of this control plane runs out by itself", problem=str(error))


class InstanceWatch:
    """A leader's component: closes the streams of dead instances in the insights, and removes their records."""

    name = "instance-watch"
    leader_only = True

    def __init__(self, instances: Instances, resources: Resources) -> None:
        self._instances, self._resources = instances, resources
        self._seen: dict[str, Stillness] = {}
        self._swept: frozenset[str] | None = None

    def run(self, stop: Stop) -> None:
        """Look until ``stop`` is set. A new leader clears up once, whatever happened before."""
        self._seen, self._swept = {}, None
        while not stop.is_set():
            try:
                self.look()
            except KumaError as error:
                _log.warning("dead control planes cannot be looked for", problem=str(error))
            stop.wait(LOOK_SECONDS)

    def look(self) -> None:
        """Remove records that stood still for too long; then close streams if anybody went since the last look."""
        alive = frozenset(self._alive())
        if self._swept is None or self._swept - alive:
            self._close_streams()
        self._swept = alive

    def _alive(self) -> Collection[str]:
        alive = []
        records = self._instances.all()
        self._seen = {name: self._seen.get(name, Stillness()) for name in records}
        for name, spec in records.items():
            if self._seen[name].seconds(spec.beats) < DEAD_SECONDS or name == self._instances.own_id:
                alive.append(name)
                continue
            _log.warning("a control plane is taken for dead", instance=name)
            self._instances.remove(name)
        return alive

    def _close_streams(self) -> None:
        """Close the streams of instances without a record.

        The insights come first, the records after them: an instance that wrote an insight had its record before, so
        that a new one is never taken for dead."""
        insights = self._resources.list(INSIGHT, unreadable=_note_unreadable)
        there = self._instances.all()
        for insight in insights:
            if _orphans(insight.spec, there):
                self._close(insight, there)

    def _close(self, insight: Resource, there: Collection[str]) -> None:
        now = datetime.now(UTC)

        def closed(spec: InsightSpec | None) -> InsightSpec:
            if spec is None:
                raise NotFound(f"{insight.key} is gone")
            orphans = {item.id for item in _orphans(spec, there)}
            return spec.model_copy(
                update={
                    "subscriptions": tuple(
                        item.model_copy(update={"disconnect_time": now}) if item.id in orphans else item
                        for item in spec.subscriptions
                    )
                }
            )

        try:
            self._resources.amend(insight.key, closed)
        except NotFound:
            return  # somebody deleted its dataplane at the same moment


def _orphans(spec: InsightSpec, there: Collection[str]) -> list[Subscription]:
    """The open streams of instances that are not there."""
    return [
        item
        for item in spec.subscriptions
        if not item.disconnect_time and item.control_plane_instance_id not in there
    ]


def _note_unreadable(error: UnreadableResource) -> None:
    _log.error("a stored resource is left out", problem=str(error))


class DeletionFinisher:
    """A leader's component: finishes deletions of meshes that a control plane began and did not end."""

    name = "mesh-deletions"
    leader_only = True

    def __init__(self, deletions: MeshDeletions) -> None:
        self._deletions = deletions

    def run(self, stop: Stop) -> None:
        """Look until ``stop`` is set. A lease keeps it from a deletion that another control plane still works at."""
        while not stop.is_set():
            try:
                for mesh in self._deletions.pending():
                    self._deletions.finish(mesh, stop.wait)
            except KumaError as error:
                _log.warning("the deletion of a mesh cannot be finished yet", problem=str(error))
            stop.wait(FINISH_SECONDS)
