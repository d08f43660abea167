"""The one source of changes: the store's watch, kept alive, for all who listen."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import structlog

from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.log_levels import IN_FORCE
from kuma_core.resources.contract import Change, CountedStore, Op, Publish, Store
from kuma_core.resources.store_times import StoreTimes

_log = structlog.get_logger("store-watch")

FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0

RESYNC_SECONDS = 60.0
"""How often we make sure that the watch missed no change."""
LOOKS, BETWEEN_LOOKS_SECONDS = 5, 0.02
"""How often we ask the store for its word before we read everything."""


class ChangeFeed:
    """Watches the store in a thread of its own.

    Add listeners before it runs. They must be quick, for each of them holds up the others. ``times`` knows when the
    writes of this control plane began.
    """

    name = "store-watch"
    leader_only = False

    def __init__(self, store: Store, times: StoreTimes | None = None) -> None:
        self._store = store
        self._times = times or StoreTimes()
        self._listeners: list[tuple[Publish, str]] = []
        self._delay = FIRST_DELAY
        self._guard = threading.Lock()
        self._known = ""

    def listen(self, listener: Publish, plugin: str = "") -> None:
        """Call ``listener`` with every change, from one thread at a time. The log names ``plugin`` if it fails."""
        self._listeners.append((listener, plugin))

    def run(self, stop: Stop) -> None:
        """Watch until ``stop`` is set; attach a broken watch again, after a delay that grows as long as it
        breaks before it is attached."""
        while not stop.is_set():
            try:
                self._store.watch(self._take, stop)
            except KumaError as error:
                _log.warning(
                    "the store's watch broke; attaching it again", error=str(error), seconds=self._delay
                )
                stop.wait(self._delay)
                self._delay = min(self._delay * 2, LONGEST_DELAY)

    def make_sure(self) -> None:
        """Have everything read again, unless the store's word says that nobody wrote since the last time."""
        word = self._word()
        if not word or word != self._known:
            self._known = word
            self._publish(Change(Op.RESYNC, is_precaution=True))

    def _take(self, change: Change) -> None:
        if change.op is Op.RESYNC:  # the first word of every watch
            self._delay = FIRST_DELAY
            self._known = self._word()  # before anybody reads, so that it counts nothing that they do not see
        self._publish(change)

    def _publish(self, change: Change) -> None:
        if IN_FORCE.is_debugging(self.name):
            _log.debug("the store tells of a change", op=change.op.value, of=str(change.key or "everything"))
        with self._guard:
            change = replace(change, at=self._times.heard(change.key))
            for listener, plugin in self._listeners:
                self._tell(listener, plugin, change)

    def _tell(self, listener: Publish, plugin: str, change: Change) -> None:
        """One listener that fails keeps the change from nobody else."""
        try:
            listener(change)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            _log.error("a change listener failed", plugin=plugin, problem=f"{type(error).__name__}: {error}")

    def _word(self) -> str:
        """The store's word for all writes so far; empty if it has none, or cannot tell it now.

        A write that is under way, a heartbeat perhaps, is over in a moment: to look again costs less than to read
        everything.
        """
        store = self._store
        if not isinstance(store, CountedStore):
            return ""
        for look in range(LOOKS):
            if look:
                time.sleep(BETWEEN_LOOKS_SECONDS)
            try:
                word = store.counter()
            except KumaError:  # an outage; the watch tells of it
                return ""
            if word:
                return word
        return ""


class SlowTick:
    """A component: makes up for hints that the watch lost, so that they cost only time."""

    name = "store-resync"
    leader_only = False

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed

    def run(self, stop: Stop) -> None:
        """Look once a minute until ``stop`` is set."""
        while not stop.wait(RESYNC_SECONDS):
            self._feed.make_sure()
