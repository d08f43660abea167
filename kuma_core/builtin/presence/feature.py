"""The feature: what was told, those who tell for whom nobody else does, and the way to tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.builtin.events.contract import Event, Events
from kuma_core.builtin.presence.joining import WATCHED, Joining
from kuma_core.builtin.presence.others import ANSWER, QUESTION, Others, Standing
from kuma_core.builtin.presence.records import Records
from kuma_core.builtin.presence.upgrade import served_before
from kuma_core.plugin.contract import ChangeListener, Component, Context, Metric
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.presence import BY_PLATFORM, PRESENCE, PresenceSpec
from kuma_core.xds.contract import Acceptance
from kuma_core.xds.presences import Place, Presences
from kuma_core.xds.proxy import Proxy

PRESENCE_EVENT = "presence"
ARRIVING_SECONDS = 10.0
"""How long after a start proxies of a control plane that ended may be on their way, who know of no change yet."""
LOOK_SECONDS = 0.2
"""How often it is looked for while somebody waits whether the platform told of an instance that it leaves."""
ASK_SECONDS = 1.5
"""How long we wait for the answers of other control planes before we ask again."""
MOST_WAITING = 6
"""How many instances may wait for acknowledgements at once: each keeps one of the bootstrap server's workers."""
MOST_SETTLED = 1000
"""Of how many instances that left we remember that nobody calls them: the containers of a Pod ask one by one."""
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
        self._others = Others(self._cluster.own_id, self._alive, context.store, self._stand)
        self._arriving_until = time.monotonic() + ARRIVING_SECONDS
        self._arrived: set[Place] = set()
        self._settled: dict[Place, PresenceSpec] = {}

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
        until, left = time.monotonic() + seconds, 0
        while not self._is_settled((mesh, name)):
            left = self._left(mesh, name, until)
            if self._presences.serves(mesh, name):
                left = max(left, 1)
            if not left or time.monotonic() >= until:
                return left
            time.sleep(LOOK_SECONDS)
        return 0

    def _left(self, mesh: str, name: str, until: float) -> int:
        """How many may call an instance still, by all control planes.

        Where one does not answer, or has just started, proxies may be at none: then everybody who calls has to be at
        one that answered. At rest nobody waits for those that are offline.
        """
        own = self._stand(mesh, name, max(0.0, until - time.monotonic()))
        told = self._presences.told(mesh, name)
        if own.left or self._presences.serves(mesh, name):
            return own.left
        answers = self._others.ask(mesh, name, min(ASK_SECONDS, max(0.0, until - time.monotonic())))
        said = [own, *(answer for answer in answers.values() if answer)]
        left = sum(answer.left for answer in said)
        if None in answers.values() or any(answer.is_fresh for answer in said):
            callers = len(self._acceptance.callers(mesh, name))
            left += max(0, callers - sum(answer.here for answer in said))
        if told and not left:
            self._settle((mesh, name), told)
        return left

    def _stand(self, mesh: str, name: str, seconds: float) -> Standing:
        """What we say of our proxies. Who is here before they are waited for is one of them."""
        is_fresh = time.monotonic() < self._arriving_until
        callers = [(mesh, caller) for caller in self._acceptance.callers(mesh, name)]
        here = {caller for caller in callers if self._acceptance.streams(*caller)}
        if is_fresh:  # who came to us and went is not on its way
            here |= self._arrived.intersection(callers)
        left = self._acceptance.wait_turned_away(mesh, name, seconds)
        return Standing(left, len(here), is_fresh)

    def _accepted(self, proxy: Proxy) -> None:
        """A proxy has its listeners, or its identity. In the event loop."""
        if time.monotonic() < self._arriving_until:
            self._arrived.add(proxy.id)
        self._joining.accepted(proxy)

    def _alive(self) -> Iterable[str]:
        """The ids of the control planes that are not known to be dead."""
        return self._cluster.notes(PRESENCE)

    def _is_settled(self, place: Place) -> bool:
        """Whether nobody calls an instance, by what was found since it was told that it leaves."""
        settled = self._settled.get(place)
        return settled is not None and self._presences.told(*place) == settled

    def _settle(self, place: Place, told: PresenceSpec) -> None:
        if len(self._settled) >= MOST_SETTLED:
            self._settled.clear()
        self._settled[place] = told

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
            ChangeListener(self._others.changed, (QUESTION, ANSWER)),
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
        return [self._joining, self._others]
