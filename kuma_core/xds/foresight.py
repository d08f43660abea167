"""Which proxies a write would change, and how: drafts are compared, and only what differs is built.

Equal drafts make equal resources, so that nothing is built for the proxies, or the parts of one, that stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from kuma_core.model import Resource, ResourceKey
from kuma_core.xds.assembly import Drafts, GenerationError, Owners, sealed_draft
from kuma_core.xds.contract import SHORT_NAMES, Foreseen
from kuma_core.xds.maker import touched_by
from kuma_core.xds.mesh_views import MeshViews
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.reconciler import Reconciler
from kuma_core.xds.seal import Sealed
from kuma_core.xds.snapshot import TYPES
from kuma_core.xds.workbench import Steps

DETAILED_PROXIES = 50
DETAILED_CHARACTERS = 4 * 2**20
"""For so many proxies, and with so much text, it is told what exactly differs; of the others, which resources do."""

Between = Callable[[Sealed | None, Sealed | None], str]


class Foresight:
    """One dry run, on frozen views. ``between`` tells the difference of two resources."""

    def __init__(
        self,
        reconciler: Reconciler,
        views: MeshViews,
        key: ResourceKey,
        resource: Resource | None,
        between: Between,
    ) -> None:
        self._reconciler, self._mesh, self._between = reconciler, key.mesh, between
        self._before = views
        self._after, self._effects = views.imagine(key, resource)
        self._found: list[dict[str, Any]] = []
        self._detailed = 0
        self._characters = 0
        self._kept: list[Sealed] = []  # what proxies share is built once while somebody holds it

    def steps(self, deadline: float) -> Steps[Foreseen]:
        """Look at one dataplane after the other until ``deadline``, in ``time.monotonic``; tell how far it came."""
        names = sorted({*self._before.mesh(self._mesh).dataplanes, *self._after.mesh(self._mesh).dataplanes})
        for number, name in enumerate(names):
            if time.monotonic() > deadline:
                return self._told(number, len(names))
            for proxy in self._reconciler.connected(self._mesh, name) or [Proxy(self._mesh, name)]:
                yield from self._look_at(proxy)
            yield
        return self._told(len(names), len(names))

    def _told(self, examined: int, there_are: int) -> Foreseen:
        return Foreseen(self._found, examined, there_are, self._detailed)

    def _look_at(self, proxy: Proxy) -> Steps[None]:
        known, before, owners = self._reconciler.maker.draft(proxy, self._before)
        if not touched_by(self._effects, proxy, known):
            return
        after, wanted, makers = self._reconciler.maker.draft(proxy, self._after)
        entry: dict[str, Any] = {"mesh": proxy.mesh, "name": proxy.name}
        problem = after.problem
        if not problem:
            try:
                pairs = list(self._pairs(proxy, (before, owners), (wanted, makers)))
            except GenerationError as error:
                problem = str(error)
        if problem:
            self._found.append({**entry, "changes": [], "problem": problem})
        elif pairs:
            self._found.append({**entry, "changes": (yield from self._changes(pairs))})

    def _pairs(
        self, proxy: Proxy, before: tuple[Drafts, Owners], after: tuple[Drafts, Owners]
    ) -> Iterator[tuple[Sealed | None, Sealed | None]]:
        """The resources that differ, in the order in which they are told; raises ``GenerationError``."""
        places = {
            place
            for place in {*before[0], *after[0]}
            if place[0] in TYPES and before[0].get(place) != after[0].get(place)
        }
        for place in sorted(places, key=lambda place: (TYPES.index(place[0]), place[1])):
            new = self._sealed(place, *after)
            try:
                old = self._sealed(place, *before)
            except GenerationError:  # it has no such one now either
                old = None
            if (old and old.version) != (new and new.version):
                yield old, new

    def _sealed(self, place: tuple[str, str], drafts: Drafts, owners: Owners) -> Sealed | None:
        draft = drafts.get(place)
        if draft is None:
            return None
        sealed = sealed_draft(owners.get(place, ""), draft, self._reconciler.maker.memo, lambda warning: None)
        if sealed:
            self._kept.append(sealed)
        return sealed

    def _changes(self, pairs: list[tuple[Sealed | None, Sealed | None]]) -> Steps[list[dict[str, Any]]]:
        detailed = self._detailed < DETAILED_PROXIES and self._characters < DETAILED_CHARACTERS
        self._detailed += detailed
        changes = []
        for old, new in pairs:
            change = _change(old, new)
            if detailed:
                change["diff"] = self._between(old, new)
                self._characters += len(change["diff"])
                yield
            changes.append(change)
        return changes


def _change(old: Sealed | None, new: Sealed | None) -> dict[str, Any]:
    one = old or new
    assert one is not None
    op = "add" if old is None else "remove" if new is None else "change"
    return {"type": SHORT_NAMES[one.type_url], "name": one.name, "op": op}
