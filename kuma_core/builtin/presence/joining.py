"""Who serves although nobody tells: a proxy without a kuma-dp that does so serves once it has its listeners.

So does one whose Dataplane was deleted while it served and is there again: its kuma-dp told that already.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable
from datetime import datetime

import structlog

from kuma_core.builtin.presence.records import Records
from kuma_core.errors import KumaError, NotFound
from kuma_core.lifecycle import Stop
from kuma_core.plugin.contract import Views
from kuma_core.resources.contract import Change, Op
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.presence import BY_LISTENERS, BY_PLATFORM, PRESENCE
from kuma_core.xds.contract import Acceptance, StreamReport
from kuma_core.xds.presences import Place, Presences
from kuma_core.xds.proxy import Proxy, tells_serving

_log = structlog.get_logger("presence")

RETRY_SECONDS = 1.0
"""How long we wait before we store again what the store did not take."""
SETTLE_SECONDS = 10.0

WATCHED = (DATAPLANE, PRESENCE)


class Joining:
    """A component: stores that proxies serve for which nobody tells. At rest it waits."""

    name = "presence"
    leader_only = False

    def __init__(self, acceptance: Acceptance, presences: Presences, records: Records, views: Views) -> None:
        self._acceptance, self._presences, self._records = acceptance, presences, records
        self._views = views
        self._places: queue.SimpleQueue[Place | None] = queue.SimpleQueue()
        self._views_are_behind = False

    # -- what other threads call

    def accepted(self, proxy: Proxy) -> None:
        """A proxy has its listeners, or its identity; from the event loop, so it takes no time for those that serve."""
        told = self._presences.told(*proxy.id)
        if not (self._presences.everybody or (told and told.serving)):
            self._places.put(proxy.id)

    def changed(self, change: Change) -> None:
        """A Dataplane may be there again whose proxy kept its listeners meanwhile."""
        key = change.key
        if key is None:
            places = [] if change.is_precaution else self._presences.places()
        elif change.op is Op.DELETE or self._presences.served_until(key.mesh, key.name):
            places = [(key.mesh, key.name)]
        else:
            return
        self._views_are_behind = True  # in this order: the thread takes a place and then looks
        for place in places:
            self._places.put(place)

    # -- the thread

    def run(self, stop: Stop) -> None:
        """Look at those who accepted something, until ``stop`` is set."""
        stop.on_set(lambda: self._places.put(None))
        while not stop.is_set():
            places = self._gathered()
            if stop.is_set():
                return
            if again := self._look(places):
                stop.wait(RETRY_SECONDS)
            for place in again:
                self._places.put(place)

    def _gathered(self) -> list[Place]:
        """All that are there, each once, after waiting for one."""
        found: dict[Place, None] = {}
        try:
            while (place := self._places.get() if not found else self._places.get_nowait()) is not None:
                found[place] = None
        except queue.Empty:
            pass
        return list(found)

    def _look(self, places: Iterable[Place]) -> list[Place]:
        """Store who serves of these; those that have to be looked at again, for the store did not answer."""
        again = []
        if self._views_are_behind and not self._caught_up():
            return list(places)
        for place in places:
            try:
                if self._is_orphan(place):
                    self._records.remove_orphan(*place)
                elif self._serves(place):
                    self._records.set(*place, True, BY_LISTENERS)
            except NotFound:
                continue  # it went meanwhile
            except KumaError as error:
                _log.warning(
                    "whether an instance serves could not be stored yet",
                    proxy=".".join(place),
                    problem=str(error),
                )
                again.append(place)
        return again

    def _caught_up(self) -> bool:
        """Wait until the views show what we heard of; whether they do."""
        self._views_are_behind = False
        try:
            self._acceptance.settle(SETTLE_SECONDS)
        except KumaError:
            self._views_are_behind = True
        return not self._views_are_behind

    def _is_orphan(self, place: Place) -> bool:
        """Whether something was told of a Dataplane that is gone: not every store deletes both by our hand."""
        return self._presences.told(*place) is not None and self._views.dataplane_spec(*place) is None

    def _serves(self, place: Place) -> bool:
        """Whether nobody else tells of an instance, and it has what it needs."""
        told = self._presences.told(*place)
        if self._presences.everybody or (told is not None and (told.serving or told.by == BY_PLATFORM)):
            return False
        until = self._presences.served_until(*place)
        streams = self._acceptance.streams(*place)
        if not any(_serves_untold(stream, until) for stream in streams):
            return False
        return self._acceptance.has_all(*place)


def _serves_untold(stream: StreamReport, until: datetime | None) -> bool:
    """Whether of the instance behind a stream nobody tells, or nobody tells again that it serves."""
    return not tells_serving(stream.proxy) or (until is not None and stream.connected < until)
