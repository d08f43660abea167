"""Which plugins the control plane calls no more, because they took more than is theirs, and what each failed at."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from kuma_core.plugin.registration import is_builtin

_log = structlog.get_logger("plugin-boundary")

OFFENCES = 3
"""So many offences put a plugin into quarantine."""
OFFENCES_SECONDS = 600.0
"""An offence is forgotten after so long: a machine that stood still now and then is no plugin's fault."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Why the control plane calls a plugin no more, and since when."""

    plugin: str
    reason: str
    since: datetime


class Standing:
    """How one plugin stands. ``barred`` is the one field that every call looks at; it holds the reason, or nothing.

    ``measured`` says that each of its calls is measured in processor time: one of them took suspiciously long.
    """

    __slots__ = ("barred", "measured", "offences", "since")

    def __init__(self) -> None:
        self.barred = ""
        self.since = datetime.now(UTC)
        self.measured = False
        self.offences: deque[float] = deque(maxlen=OFFENCES)


class Quarantine:
    """How every plugin stands. Safe for use from several threads. The kernel's own features never get in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standings: dict[str, Standing] = {}
        self._listeners: list[Callable[[str], None]] = []
        self.failures: Counter[tuple[str, str]] = Counter()
        """How many calls failed, by plugin and what was called."""

    def standing(self, plugin: str) -> Standing:
        """How a plugin stands; always the same object."""
        with self._lock:
            return self._standings.setdefault(plugin, Standing())

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with each plugin that comes into quarantine or gets out of it; it must be quick."""
        self._listeners.append(listener)

    def failed(self, plugin: str, what: str) -> None:
        """Count a call that failed."""
        with self._lock:
            self.failures[plugin, what] += 1

    def offend(self, plugin: str, offence: str) -> None:
        """Note an offence, such as a budget that was overrun; the third one within ten minutes bars the plugin."""
        if is_builtin(plugin):
            return
        standing, now = self.standing(plugin), time.monotonic()
        with self._lock:
            standing.offences.append(now)
            recent = [at for at in standing.offences if now - at < OFFENCES_SECONDS]
        if len(recent) >= OFFENCES:
            self.bar(plugin, offence)
        else:
            _log.warning(
                "a plugin took more than is its own", plugin=plugin, offence=offence, count=len(recent)
            )

    def bar(self, plugin: str, reason: str) -> None:
        """Call the plugin no more, from now on."""
        if is_builtin(plugin):
            return
        standing = self.standing(plugin)
        with self._lock:
            if standing.barred:
                return
            standing.since = datetime.now(UTC)
            standing.barred = reason
        _log.error(
            "a plugin is in quarantine and is called no more; proxies keep what they have of it. "
            f"Repair it and restart, or try it again: kuma-cp plugins release {plugin}",
            plugin=plugin,
            reason=reason,
        )
        self._tell(plugin)

    def release(self, plugin: str) -> bool:
        """Call the plugin again; whether it had been barred."""
        standing = self.standing(plugin)
        with self._lock:
            was, standing.barred = standing.barred, ""
            standing.offences.clear()
        if was:
            _log.info("a plugin is out of quarantine", plugin=plugin)
            self._tell(plugin)
        return bool(was)

    def barred(self) -> list[Quarantined]:
        """The plugins in quarantine, by name."""
        with self._lock:
            found = sorted(self._standings.items())
        return [Quarantined(name, item.barred, item.since) for name, item in found if item.barred]

    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many calls failed, by plugin and what was called."""
        with self._lock:
            return dict(self.failures)

    def _tell(self, plugin: str) -> None:
        for listener in self._listeners:
            listener(plugin)
