"""Where events come from: the store's hints, transitions of proxies, and who leads."""

from __future__ import annotations

from typing import Any

import structlog

from kuma_core.builtin.events.contract import LEADERSHIP, REJECTION, RESET, RESOURCE, STATUS, Event, Events
from kuma_core.builtin.status.contract import Transition
from kuma_core.errors import KumaError
from kuma_core.kinds import Kinds
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey, ResourceType, Scope
from kuma_core.resources.contract import Change, Op, Store, TellingStore
from kuma_core.specs.base import to_document
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.mesh import MESH
from kuma_core.specs.proxy_status import LONGEST_REASON

_log = structlog.get_logger("events")

LEASE, LEADS = "Lease", "leads "
"""A new leader tells the others by a hint without a record: of this type, with a name that no lease has."""


def told_kinds(kinds: Kinds) -> dict[str, ResourceType]:
    """The kinds of whose resources events tell, by name."""
    return {kind.name: kind for kind in kinds if kind.served and kind.watched and kind.stored}


class StoreEvents:
    """Turns the store's hints into events, at once: all that is told stands in the hint."""

    def __init__(self, kinds: Kinds, events: Events) -> None:
        self._kinds, self._events = told_kinds(kinds), events

    def changed(self, change: Change) -> None:
        """Take a hint from the store's watch. After a watch that broke nobody knows what changed meanwhile."""
        key = change.key
        if key is None:
            if not change.is_precaution:
                reason = "the control plane lost the store for a moment, and may have missed changes"
                self._events.publish(Event(RESET, data={"reason": reason}))
        elif key.type in self._kinds:
            self._events.publish(self._resource(change, key))
        elif key.type == LEASE and key.name.startswith(LEADS):
            self._events.publish(Event(LEADERSHIP, data={"instance": key.name.removeprefix(LEADS)}))

    def _resource(self, change: Change, key: ResourceKey) -> Event:
        data: dict[str, Any] = {"op": change.op.value, "name": key.name}
        if change.op is Op.PUT and change.version:
            data["version"] = change.version
        in_mesh = self._kinds[key.type].scope is Scope.MESH or key.type == MESH
        return Event(RESOURCE, key.type, key.mesh if in_mesh else "", data)


def transition_events(transition: Transition, events: Events) -> None:
    """Tell the new status of a Dataplane's proxies, and what they rejected."""
    status = {"state": transition.status.state, **to_document(transition.status)}
    mesh, name = transition.mesh, {"name": transition.name}
    events.publish(Event(STATUS, DATAPLANE, mesh, {**name, **status}))
    if transition.rejection:
        reason = transition.rejection[:LONGEST_REASON]
        events.publish(Event(REJECTION, DATAPLANE, mesh, {**name, "reason": reason}))


class LeadershipEvents:
    """A component of the leader: tells all control planes that this one leads now."""

    name = "leadership-events"
    leader_only = True

    def __init__(self, store: Store, own_id: str, events: Events) -> None:
        self._store, self._own_id, self._events = store, own_id, events

    def run(self, stop: Stop) -> None:
        """Tell once, and wait for ``stop``."""
        if isinstance(self._store, TellingStore):
            try:
                self._store.tell(ResourceKey(LEASE, LEADS + self._own_id, LEADS + self._own_id))
            except KumaError as error:
                _log.info("others are not told that this control plane leads", problem=str(error))
        else:
            self._events.publish(Event(LEADERSHIP, data={"instance": self._own_id}))
        stop.wait()
