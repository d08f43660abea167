"""Tells whoever follows events that the findings of a mesh are others now."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable

import structlog

from kuma_core.builtin.events.contract import FINDINGS, Event, Events
from kuma_core.builtin.services.findings import Finding
from kuma_core.builtin.services.mesh_map import REST_SECONDS
from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.resources.contract import Change
from kuma_core.specs.mesh import MESH

_log = structlog.get_logger("findings")

Look = Callable[[str], tuple[list[Finding], bool] | None]
"""The findings of a mesh and whether they show everything that is known; ``None`` if there is no such mesh."""


class FindingsWatch:
    """A component. It looks at a mesh at most once a second, after something of it changed, and only while somebody
    follows events: who comes later reads the findings first."""

    name = "findings"
    leader_only = False

    def __init__(self, events: Events, look: Look, meshes: Callable[[], Iterable[str]]) -> None:
        self._events, self._look, self._meshes = events, look, meshes
        self._lock = threading.Lock()
        self._due: set[str] = set()
        self._news = threading.Event()
        self._told: dict[str, Counter[tuple[str, str, str]]] = {}

    def changed(self, change: Change) -> None:
        """Take a hint from the store's watch."""
        if change.key is None:
            self.note(*(() if change.is_precaution else self._meshes()))
        else:
            self.note(change.key.name if change.key.type == MESH else change.key.mesh)

    def note(self, *meshes: str) -> None:
        """Something of these meshes changed."""
        with self._lock:
            self._due.update(mesh for mesh in meshes if mesh)
        self._news.set()

    def run(self, stop: Stop) -> None:
        """Look at what changed until ``stop`` is set."""
        with stop.calling(self._news.set):
            while not stop.is_set():
                self._news.wait()
                self._news.clear()
                stop.wait(REST_SECONDS)
                with self._lock:
                    due, self._due = self._due, set()
                for mesh in sorted(due) if self._events.is_followed() and not stop.is_set() else ():
                    self._tell(mesh)

    def _tell(self, mesh: str) -> None:
        try:
            looked = self._look(mesh)
        except KumaError as error:
            _log.info("findings cannot be looked for now", mesh=mesh, problem=str(error))
            return
        if looked is None:
            self._told.pop(mesh, None)
            return
        found, is_current = looked
        if not is_current:
            self.note(mesh)
        now = Counter((item.id, item.kind, item.name) for item in found)
        if now != self._told.get(mesh):
            self._told[mesh] = now
            levels = Counter(item.level for item in found)
            self._events.publish(Event(FINDINGS, "", mesh, dict(sorted(levels.items()))))
