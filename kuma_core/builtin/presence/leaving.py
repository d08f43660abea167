"""Leaving: who asks waits until nobody sends new connections to an instance, by the word of all control planes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.builtin.presence.others import Others, Standing
from kuma_core.resources.contract import Store
from kuma_core.specs.presence import PRESENCE, PresenceSpec
from kuma_core.xds.contract import Acceptance
from kuma_core.xds.presences import Place, Presences
from kuma_core.xds.proxy import Proxy

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


class Leaving:
    """Waits for callers, ours and those of ``others``. Safe for use from several threads."""

    def __init__(self, acceptance: Acceptance, presences: Presences, cluster: Cluster, store: Store) -> None:
        self._acceptance, self._presences, self._cluster = acceptance, presences, cluster
        self.others = Others(cluster.own_id, self._alive, store, self._stand)
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._arriving_until = time.monotonic() + ARRIVING_SECONDS
        self._arrived: set[Place] = set()
        self._settled: dict[Place, PresenceSpec] = {}

    def accepted(self, proxy: Proxy) -> None:
        """A proxy has its listeners, or its identity: it came to us. In the event loop."""
        if time.monotonic() < self._arriving_until:
            self._arrived.add(proxy.id)

    def wait(self, mesh: str, name: str, seconds: float) -> int:
        """Wait until nobody sends new connections to an instance that leaves; how many may still do so after that."""
        if not self._waiting.acquire(timeout=min(TURN_SECONDS, seconds)):
            return self._acceptance.wait_turned_away(mesh, name, 0)
        try:
            return self._wait(mesh, name, seconds)
        finally:
            self._waiting.release()

    def _wait(self, mesh: str, name: str, seconds: float) -> int:
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
        answers = self.others.ask(mesh, name, min(ASK_SECONDS, max(0.0, until - time.monotonic())))
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
