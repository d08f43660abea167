"""Sees transitions: a hint about an insight has it read, and its status compared with the one before.

Nothing is read without a hint, so that at rest nobody asks the store anything.
"""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from kuma_core.builtin.status.contract import Transition
from kuma_core.errors import KumaError, UnreadableResource
from kuma_core.lifecycle import Stop
from kuma_core.log_levels import IN_FORCE
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op, Resources
from kuma_core.specs.dataplane import DATAPLANE
from kuma_core.specs.insight import INSIGHT, InsightSpec
from kuma_core.specs.proxy_status import StatusSpec, rejection_of, status_of

_log = structlog.get_logger("proxy-status")

RETRY_SECONDS = 1.0
"""How long we wait before we read again after the store failed."""
MANY_HINTS = 200
"""Past so many hints at once it is cheaper to read every insight than to look at each."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was told last of a Dataplane; ``since`` when it is so."""

    state: str
    reason: str
    rejection: str
    since: datetime | None = field(default=None, compare=False)


class StatusWatch:
    """A component: tells ``listeners`` of transitions. ``changed`` takes hints from any thread."""

    name = "proxy-status"
    leader_only = False

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._hints: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._known: dict[tuple[str, str], Known] = {}
        self._begun, self._stale = False, False
        self.listeners: list[Callable[[Transition], None]] = []

    def changed(self, change: Change) -> None:
        """Take a hint from the store's watch."""
        self._hints.put(change)

    def counts(self) -> Counter[str]:
        """How many Dataplanes are in each state, of those that were ever connected."""
        return Counter(known.state for known in list(self._known.values()))

    def states(self, mesh: str) -> dict[str, str]:
        """The states of a mesh's Dataplanes, of those that were ever connected."""
        return {name: known.state for (one, name), known in list(self._known.items()) if one == mesh}

    def since(self, mesh: str) -> dict[str, datetime]:
        """Since when a mesh's Dataplanes are in their states, as far as that is known."""
        items = list(self._known.items())
        return {name: known.since for (one, name), known in items if one == mesh and known.since}

    def run(self, stop: Stop) -> None:
        """Look at what hints point to, until ``stop`` is set."""
        stop.on_set(lambda: self._hints.put(None))
        while not stop.is_set():
            hints = self._gathered()
            if stop.is_set():
                return
            try:
                self.look(hints)
                self._stale = False
            except KumaError as error:
                if not self._stale:
                    _log.warning("the status of proxies cannot be looked at now", problem=str(error))
                self._stale = True

    def _gathered(self) -> list[Change]:
        """All hints that are there, after waiting for one; after a failure none may come."""
        found: list[Change] = []
        timeout = RETRY_SECONDS if self._stale else None
        try:
            while (
                hint := self._hints.get(timeout=timeout) if not found else self._hints.get_nowait()
            ) is not None:
                found.append(hint)
        except queue.Empty:
            pass
        return found

    def look(self, hints: Collection[Change]) -> None:
        """Look at what the hints point to, or at everything. Raises ``KumaError`` while the store cannot be read."""
        keys = {change.key for change in hints if change.key}
        if self._stale or len(keys) > MANY_HINTS or any(change.op is Op.RESYNC for change in hints):
            self._look_at_all()
            return
        for key in sorted(keys):
            found = self._find(ResourceKey(INSIGHT, key.mesh, key.name))
            self._note(key.mesh, key.name, found)

    def _find(self, key: ResourceKey) -> InsightSpec | None:
        try:
            found = self._resources.find(key)
        except UnreadableResource as error:
            _note_unreadable(error)
            return None
        return found.spec if found else None

    def _look_at_all(self) -> None:
        """Read every insight. The first time nobody is told: whoever listens reads what there is by himself."""
        found = self._resources.list(INSIGHT, unreadable=_note_unreadable)
        specs: Iterable[tuple[tuple[str, str], InsightSpec]] = [
            ((item.mesh, item.name), item.spec) for item in found
        ]
        self._known = {place: self._known[place] for place, _ in specs if place in self._known}
        for (mesh, name), spec in specs:
            self._note(mesh, name, spec)
        self._begun = True

    def _note(self, mesh: str, name: str, insight: InsightSpec | None) -> None:
        """Compare with what was told last. One without an insight goes with its Dataplane, of which others tell."""
        before = self._known.get((mesh, name))
        if insight is None:
            self._known.pop((mesh, name), None)
            return
        status = status_of(insight)
        now = Known(status.state, status.reason, rejection_of(insight), status.since)
        self._known[mesh, name] = now
        if now == before:
            return
        is_new = now.rejection != (before.rejection if before else "")
        self._tell(mesh, name, status, now.rejection if is_new else "")

    def _tell(self, mesh: str, name: str, status: StatusSpec, rejection: str) -> None:
        if IN_FORCE.is_debugging(self.name):
            _log.debug(
                "the status of a proxy", proxy=f"{mesh}.{name}", state=status.state, reason=status.reason
            )
        for listener in self.listeners if self._begun else ():
            listener(Transition(mesh, name, status, rejection))


WATCHED = (INSIGHT, DATAPLANE)
"""The kinds whose hints matter: a deletion of a Dataplane takes its insight along."""


def _note_unreadable(error: UnreadableResource) -> None:
    _log.error("a stored resource is left out", problem=str(error))
