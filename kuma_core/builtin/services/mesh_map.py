"""The map of one mesh, kept until something of the mesh changes, and made anew at most once a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

from kuma_core.builtin.services.decisions import Applied, Decisions
from kuma_core.builtin.services.edges import Edge, EdgeFinder
from kuma_core.builtin.services.parties import Parties, Traits
from kuma_core.mesh.context import MeshContext
from kuma_core.policy.contract import Policy
from kuma_core.policy.matching import MeshPolicies

REST_SECONDS = 1.0
"""How long a map is answered at least; ``Maps.is_current`` tells when something changed meanwhile."""


@runtime_checkable
class FrozenViews(Protocol):
    """What the control plane configures proxies by; each answer is frozen, and another object after a change."""

    def mesh(self, name: str) -> MeshContext:
        """The mesh and its dataplanes."""
        ...

    def policies(self, mesh: str) -> MeshPolicies:
        """The policies of the mesh."""
        ...

    def resources(self, kind: str, mesh: str) -> Mapping[str, Any]:
        """The specs of all resources of a kind, by name; raises ``KeyError``."""
        ...

    def are_behind(self) -> bool:
        """Whether something was written that they do not show yet."""
        ...


REMEMBERED_ANSWERS = 200_000
"""How many decisions one mesh keeps, a few hundred bytes each; those of dataplanes that are gone count, too."""


@dataclass(frozen=True, slots=True)
class MeshMap:
    """What follows from one frozen view of a mesh. ``applied`` are the policies that had a say on some edge.

    ``lasts`` is false if a policy looked at resources of another kind, which may change while the view does not.
    """

    context: MeshContext
    stored: MeshPolicies
    traits: Mapping[str, Traits]
    edges: tuple[Edge, ...]
    applied: frozenset[Applied]
    problems: tuple[str, ...]
    lasts: bool = True


class Maps:
    """The maps of all meshes. Safe for use from several threads: one makes a map, the others wait for it."""

    def __init__(
        self, views: FrozenViews, policies: Iterable[Policy], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._views, self._policies, self._clock = views, tuple(policies), clock
        self._guard = threading.Lock()
        self._cells: dict[str, _Cell] = {}

    def of(self, mesh: str) -> MeshMap | None:
        """The map of a mesh; ``None`` if there is no such mesh."""
        if self._views.mesh(mesh).mesh is None:
            with self._guard:
                self._cells.pop(mesh, None)
            return None
        with self._guard:
            cell = self._cells.setdefault(mesh, _Cell())
        with cell.lock:
            return self._current(mesh, cell)

    def _current(self, mesh: str, cell: _Cell) -> MeshMap:
        context, stored = self._views.mesh(mesh), self._views.policies(mesh)
        known, now = cell.found, self._clock()
        if known and (now < cell.made + REST_SECONDS or self.is_current(known)):
            return known
        decisions, asked = self._decisions(context, stored, cell)
        traits = cell.parties.look(context.dataplanes)
        edges = EdgeFinder(context, decisions, traits).find()
        problems, lasts = tuple(decisions.problems), not asked
        cell.found = MeshMap(context, stored, traits, edges, _applied(edges), problems, lasts)
        cell.made = self._clock()
        return cell.found

    def _decisions(
        self, context: MeshContext, stored: MeshPolicies, cell: _Cell
    ) -> tuple[Decisions, set[str]]:
        """What policies decided for the last map holds as long as they, and the mesh itself, stay as they are."""
        assert context.mesh
        known = cell.found
        holds = known and known.lasts and known.stored is stored and known.context.mesh == context.mesh
        if cell.decisions is None or not holds or cell.decisions.size > REMEMBERED_ANSWERS:
            cell.asked = set()
            resources = partial(self._resources, cell.asked, context.name)
            cell.decisions = Decisions(context.name, context.mesh, stored, self._policies, resources)
        return cell.decisions, cell.asked

    def decisions(self, found: MeshMap) -> Decisions:
        """What policies say of the view that a map is of, for one question and one thread."""
        assert found.context.mesh
        name = found.context.name
        resources = partial(self._resources, set(), name)
        return Decisions(name, found.context.mesh, found.stored, self._policies, resources)

    def is_current(self, found: MeshMap) -> bool:
        """Whether nothing changed in the mesh since the map was made, as far as anybody was told."""
        mesh = found.context.name
        if self._views.are_behind():
            return False
        same = found.context is self._views.mesh(mesh) and found.stored is self._views.policies(mesh)
        return same and found.lasts

    def _resources(self, asked: set[str], mesh: str, kind: str) -> Mapping[str, Any]:
        asked.add(kind)
        return self._views.resources(kind, mesh)


class _Cell:
    """Where one mesh's map is kept, for whoever holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.parties = Parties()
        self.found: MeshMap | None = None
        self.made = 0.0
        self.decisions: Decisions | None = None
        self.asked: set[str] = set()


def _applied(edges: Iterable[Edge]) -> frozenset[Applied]:
    leads = {id(flow.lead): flow.lead for edge in edges for flow in edge.flows}
    followed = (name for lead in leads.values() for name in (*lead.routes, *lead.others))
    return frozenset((*followed, *(name for edge in edges for name in edge.let_in)))
