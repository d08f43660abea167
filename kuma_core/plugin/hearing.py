"""Tells plugins of changes, each in a thread of its own: one that hangs keeps the change from nobody else."""

from __future__ import annotations

import threading
from collections import deque

import structlog

from kuma_core.errors import KumaError
from kuma_core.plugin.boundary import Boundary, PluginBarred
from kuma_core.plugin.collecting import Contributed
from kuma_core.plugin.contract import ChangeListener
from kuma_core.plugin.registration import is_builtin
from kuma_core.plugin.threads import Threads
from kuma_core.resources.contract import Change, Op, Publish

_log = structlog.get_logger("store-watch")

MOST_PENDING = 1000
"""How many changes wait for a plugin; past that they are one: that anything may have changed."""


def heard(contributed: Contributed[ChangeListener], boundary: Boundary) -> Publish:
    """What takes a change for a listener, at once."""
    if is_builtin(contributed.plugin):
        return contributed.value.hear
    hearing = _Hearing(contributed, boundary)
    boundary.quarantine.listen(hearing.stands_anew)
    return hearing.hear


class _Hearing:
    def __init__(self, contributed: Contributed[ChangeListener], boundary: Boundary) -> None:
        self._tell = boundary.guard(
            contributed.plugin, "a change listener", contributed.value.hear, exact=True
        )
        self._plugin = contributed.plugin
        self._thread = Threads(f"hears-{contributed.plugin}"[:60], 1)
        self._lock = threading.Lock()
        self._pending: deque[Change] = deque()

    def hear(self, change: Change) -> None:
        """Have the listener told."""
        with self._lock:
            if len(self._pending) >= MOST_PENDING:
                self._pending.clear()
                change = Change(Op.RESYNC)
            self._pending.append(change)
            if len(self._pending) == 1:
                self._thread.submit(self._work)

    def stands_anew(self, plugin: str) -> None:
        """Out of quarantine, it may have missed anything."""
        if plugin == self._plugin:
            self.hear(Change(Op.RESYNC))

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._pending:
                    return
                change = self._pending[0]
            try:
                self._tell(change)
            except PluginBarred:
                pass  # when it is called again, it hears that anything may have changed
            except KumaError as error:
                _log.error("a change listener failed", plugin=self._plugin, problem=str(error))
            with self._lock:
                if self._pending and self._pending[0] is change:
                    self._pending.popleft()
