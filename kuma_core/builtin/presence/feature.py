"""The feature: what was told, those who tell for whom nobody else does, and the way to tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.builtin.events.contract import Event, Events
from kuma_core.builtin.presence.joining import WATCHED, Joining
from kuma_core.builtin.presence.records import Records
from kuma_core.builtin.presence.upgrade import served_before
from kuma_core.plugin.contract import ChangeListener, Component, Context, Metric
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.presence import BY_PLATFORM, PRESENCE
from kuma_core.xds.contract import Acceptance
from kuma_core.xds.presences import Place, Presences
from kuma_core.xds.proxy import Proxy

PRESENCE_EVENT = "presence"
HEARD_SECONDS = 1.0
"""How long it takes at most until other control planes have heard of a write and pushed it, as a rule much less."""
ARRIVING_SECONDS = 10.0
"""How long after our start proxies of a control plane that ended may be on their way, who know of no change yet."""
LOOK_SECONDS = 0.2
"""How often it is looked for while somebody waits whether the platform told of an instance that it leaves."""
MOST_WAITING = 6
"""How many instances may wait for acknowledgements at once: each keeps one of the bootstrap server's workers."""
TURN_SECONDS = 1.0
"""How long one waits for its turn, as where a machine with many of them stops; each takes a tenth of a second or so."""


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
        self._cluster = context.ask("builtin.cluster", Cluster)
        self._acceptance = context.ask("acceptance", Acceptance)
        self._presences = context.ask("presences", Presences)
        self._counted = context.ask("views", CountedPresences)
        self._resources = context.resources
        self._records = Records(context.resources)
        self._events = context.ask("builtin.events", Events)
        self._presences.changed = self._tell
        self._joining = Joining(self._acceptance, self._presences, self._records, context.views)
        self._acceptance.listen(self._accepted)
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._arriving_until = time.monotonic() + ARRIVING_SECONDS
        self._arrived: set[Place] = set()

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
        if self._presences.everybody:
            return 0
        if not self._waiting.acquire(timeout=min(TURN_SECONDS, seconds)):
            return self._acceptance.wait_turned_away(mesh, name, 0)
        try:
            return self._wait_left(mesh, name, seconds)
        finally:
            self._waiting.release()

    def _wait_left(self, mesh: str, name: str, seconds: float) -> int:
        """The same. Whoever asks may be the first to know: it is somebody else who tells of an instance in a Pod."""
        began = time.monotonic()
        until = began + seconds
        absent = self._wait_for_callers(mesh, name, until)
        left = self._acceptance.wait_turned_away(mesh, name, max(0.0, until - time.monotonic()))
        while self._presences.serves(mesh, name) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            left = self._acceptance.wait_turned_away(mesh, name, max(0.0, until - time.monotonic()))
        if self._cluster.notes(PRESENCE).keys() - {self._cluster.own_id}:
            time.sleep(max(0.0, min(HEARD_SECONDS, seconds) - (time.monotonic() - began)))
        left += absent
        return max(left, 1) if self._presences.serves(mesh, name) else left

    def _wait_for_callers(self, mesh: str, name: str, until: float) -> int:
        """Wait, soon after our start, for those to come that call an instance; how many are not there then."""
        while time.monotonic() < self._arriving_until:
            callers = {(mesh, caller) for caller in self._acceptance.callers(mesh, name)}
            self._arrived.update(caller for caller in callers if self._acceptance.streams(*caller))
            absent = len(callers - self._arrived)
            if not absent or time.monotonic() >= until:
                return absent
            time.sleep(LOOK_SECONDS)
        return 0

    def _accepted(self, proxy: Proxy) -> None:
        """A proxy has its listeners, or its identity; who goes after that is not on its way. In the event loop."""
        if time.monotonic() < self._arriving_until:
            self._arrived.add(proxy.id)
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
        """A Dataplane that comes back may have a proxy that serves."""
        return [ChangeListener(self._joining.changed, WATCHED)]

    @hookimpl
    def kuma_register_metrics(self) -> Iterable[Metric]:
        """How many instances others call, and how many not."""
        words = "Dataplanes by whether others call them: Serving, Joining or Leaving."
        return [Metric("kuma_dataplane_presences", words, self._counts, labels=("state",))]

    def _counts(self) -> Iterator[tuple[tuple[str], float]]:
        return (((state,), count) for state, count in self._counted.presence_counts().items())

    @hookimpl
    def kuma_register_components(self) -> Iterable[Component]:
        """The one that stores who serves."""
        return [self._joining]
