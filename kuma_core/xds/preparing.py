"""Long work that a policy needs done before it can act, in a thread of its own: the reconciler goes on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import structlog

from kuma_core.errors import PluginError
from kuma_core.plugin.boundary import told
from kuma_core.plugin.threads import Pools

_log = structlog.get_logger("xds-preparer")

Work = Callable[[], object]


class NotPrepared(PluginError):
    """A policy's configuration needs ``work`` first, and is not at fault; ``key`` is equal for equal work."""

    def __init__(self, plugin: str, key: Hashable, work: Work) -> None:
        super().__init__("it is being prepared", plugin)
        self.key, self.work = key, work


class Preparer:
    """Does each piece of work once, one of each plugin's after the other, and then calls ``done`` with its key.

    Its threads are there only while there is work: a piece that hangs holds up its own plugin alone. Safe to use from
    any thread.
    """

    def __init__(self, done: Callable[[Hashable], object]) -> None:
        self._done = done
        self._lock = threading.Lock()
        self._keys: set[Hashable] = set()
        self._pools = Pools("xds-preparer", 1)

    def submit(self, key: Hashable, work: Work, plugin: str = "") -> None:
        """Have work done, unless equal work is on its way."""
        with self._lock:
            if key in self._keys:
                return
            self._keys.add(key)
        self._pools.submit(plugin, lambda: self._do(key, work))

    def _do(self, key: Hashable, work: Work) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a plugin's; who needs the result meets it again
            _log.warning("something could not be prepared", problem=told(error))
        with self._lock:
            self._keys.discard(key)
        self._done(key)
