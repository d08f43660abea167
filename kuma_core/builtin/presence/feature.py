"""The feature: what was told, those who tell for whom nobody else does, and the way to tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.builtin.events.contract import Event, Events
from kuma_core.builtin.presence.joining import WATCHED, Joining
from kuma_core.builtin.presence.leaving import Leaving
from kuma_core.builtin.presence.others import ANSWER, QUESTION
from kuma_core.builtin.presence.records import Records
from kuma_core.builtin.presence.upgrade import served_before
from kuma_core.plugin.contract import ChangeListener, Component, Context, Metric
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.presence import BY_PLATFORM
from kuma_core.xds.contract import Acceptance
from kuma_core.xds.presences import Presences
from kuma_core.xds.proxy import Proxy

PRESENCE_EVENT = "presence"


@runtime_checkable
class CountedPresences(Protocol):
    """What the views of meshes count."""

    def presence_counts(self) -> Mapping[str, int]:
        """How many Dataplanes are in which state of presence."""
        ...


class PresenceFeature:
    """What is open of the presences; it offers ``Presence``."""

    def __init__(self, context: Context) -> None:
        self.offer = self
        self._acceptance = context.ask("acceptance", Acceptance)
        self._presences = context.ask("presences", Presences)
        self._counted = context.ask("views", CountedPresences)
        self._resources = context.resources
        self._records = Records(context.resources)
        self._events = context.ask("builtin.events", Events)
        self._presences.changed = self._tell
        self._joining = Joining(self._acceptance, self._presences, self._records, context.views)
        self._leaving = Leaving(
            self._acceptance, self._presences, context.ask("builtin.cluster", Cluster), context.store
        )
        self._acceptance.listen(self._accepted)

    # -- what the feature offers

    def set_serving(self, mesh: str, name: str, serving: bool, by: str = BY_PLATFORM) -> bool:
        """Store whether the instance of a Dataplane serves, for all control planes; whether that is news."""
        return self._records.set(mesh, name, serving, by)

    def serving(self, mesh: str, name: str) -> bool | None:
        """Whether others call the instance of a Dataplane; ``None`` if nobody told, or if nobody asks."""
        if self._presences.everybody:
            return None
        told = self._records.known(mesh, name)
        return told if told is not None else (self._presences.serves(mesh, name) or None)

    def wait_left(self, mesh: str, name: str, seconds: float) -> int:
        """Wait until nobody sends new connections to an instance that leaves; how many may still do so after that."""
        return 0 if self._presences.everybody else self._leaving.wait(mesh, name, seconds)

    def _accepted(self, proxy: Proxy) -> None:
        """A proxy has its listeners, or its identity. In the event loop."""
        self._leaving.accepted(proxy)
        self._joining.accepted(proxy)

    def _tell(self, mesh: str, name: str) -> None:
        """Have followers hear that others call an instance from now on, or no more."""
        if found := self._presences.status(mesh, name):
            self._events.publish(Event(PRESENCE_EVENT, DATAPLANE, mesh, {"name": name, "state": found.state}))

    # -- hooks

    @hookimpl
    def kuma_prepare(self) -> None:
        """Whoever was there before anybody told serves on; before the first views are made."""
        if not self._presences.everybody:
            self._presences.presume(served_before(self._resources))

    @hookimpl
    def kuma_register_change_listeners(self) -> Iterable[ChangeListener]:
        """A Dataplane that comes back may have a proxy that serves; other control planes ask and answer."""
        return [
            ChangeListener(self._joining.changed, WATCHED),
            ChangeListener(self._leaving.others.changed, (QUESTION, ANSWER)),
        ]

    @hookimpl
    def kuma_register_metrics(self) -> Iterable[Metric]:
        """How many instances others call, and how many not."""
        words = "Dataplanes by whether others call them: Serving, Joining or Leaving."
        return [Metric("kuma_dataplane_presences", words, self._counts, labels=("state",))]

    def _counts(self) -> Iterator[tuple[tuple[str], float]]:
        return (((state,), count) for state, count in self._counted.presence_counts().items())

    @hookimpl
    def kuma_register_components(self) -> Iterable[Component]:
        """The one that stores who serves, and the one that answers others."""
        return [self._joining, self._leaving.others]
