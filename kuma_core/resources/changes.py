"""The one source of changes: the store's watch, kept alive and handed to whoever listens."""

from __future__ import annotations

import structlog

from kuma_core.lifecycle import Stop
from kuma_core.resources.contract import Change, Op, Publish, Store

_log = structlog.get_logger("store-watch")

FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0


class ChangeFeed:
    """Watches the store in a thread of its own. Listeners are added before it runs and must be quick."""

    name = "store-watch"
    leader_only = False

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: list[Publish] = []
        self._delay = FIRST_DELAY

    def listen(self, listener: Publish) -> None:
        """Call ``listener`` with every change, in the watching thread."""
        self._listeners.append(listener)

    def run(self, stop: Stop) -> None:
        """Watch until ``stop`` is set; a broken watch is attached again, after a delay that grows as long as it
        breaks before it is attached."""
        while not stop.is_set():
            try:
                self._store.watch(self._publish, stop)
            except Exception as error:  # noqa: BLE001 - a store plugin may raise anything when its backend is lost
                _log.warning(
                    "the store's watch broke; attaching it again", error=str(error), seconds=self._delay
                )
                stop.wait(self._delay)
                self._delay = min(self._delay * 2, LONGEST_DELAY)

    def _publish(self, change: Change) -> None:
        if change.op is Op.RESYNC:  # the first word of every watch that is attached
            self._delay = FIRST_DELAY
        for listener in self._listeners:
            listener(change)
