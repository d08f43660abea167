"""Which Dataplanes are endpoints for others: those whose instances serve, as far as anybody told.

One thread alone tells; any may ask. Nothing here reads anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import UTC, datetime

from kuma_core.specs.presence import PresenceSpec, PresenceStatus, status_of_presence

Place = tuple[str, str]
"""Mesh and name of a Dataplane."""

MOST_REMEMBERED = 100_000
"""How many Dataplanes that served and went we remember, so that one that comes back serves again."""


class Presences:
    """What was told of each Dataplane. Where ``everybody`` is an endpoint, nobody is looked at.

    A store may have forgotten everything. If a proxy comes back within ``fresh_seconds`` from now on that has
    a configuration, it has, and the Dataplanes of that time serve for as long as nobody tells anything of them.
    """

    def __init__(self, everybody: bool = False, fresh_seconds: float = 0.0) -> None:
        self.everybody = everybody
        self._fresh_until = time.monotonic() + fresh_seconds
        self._early: set[Place] = set()
        self._has_forgotten = False
        self._told: dict[Place, PresenceSpec] = {}
        self._presumed: frozenset[Place] = frozenset()
        self._gone: dict[Place, datetime] = {}
        self._begun = False
        self.changed: Callable[[str, str], None] = lambda mesh, name: None
        """Called when something else is told of a Dataplane that is there, but for what is read at first."""

    def serves(self, mesh: str, name: str) -> bool:
        """Whether the inbounds of a Dataplane are endpoints for others."""
        if self.everybody:
            return True
        told = self._told.get((mesh, name))
        return self._is_presumed((mesh, name)) if told is None else told.serving

    def _is_presumed(self, place: Place) -> bool:
        return place in self._presumed or (self._has_forgotten and place in self._early)

    def told(self, mesh: str, name: str) -> PresenceSpec | None:
        """What was told last of a Dataplane; ``None`` if nothing ever was."""
        return self._told.get((mesh, name))

    def status(self, mesh: str, name: str) -> PresenceStatus | None:
        """What to show of a Dataplane; ``None`` where everybody is an endpoint."""
        told = self._told.get((mesh, name))
        return None if self.everybody else status_of_presence(told, self.serves(mesh, name))

    def places(self) -> list[Place]:
        """The Dataplanes of which something was told."""
        return list(self._told)

    def served_until(self, mesh: str, name: str) -> datetime | None:
        """When its Dataplane was deleted, if it served then: the Envoy and the kuma-dp of that time may be there."""
        return self._gone.get((mesh, name))

    def presume(self, places: Iterable[Place]) -> None:
        """Take these as serving for as long as nobody tells anything of them; before the first views are made."""
        self._presumed = frozenset(places)

    def dataplane_came(self, place: Place) -> None:
        """A Dataplane is there that was not; before anybody asks whether it serves."""
        if time.monotonic() < self._fresh_until:
            self._early.add(place)

    def came_back(self) -> bool:
        """A proxy came back from an earlier time. Whether that is news, and tells that the store forgot that time."""
        if self._has_forgotten or time.monotonic() >= self._fresh_until:
            return False
        self._has_forgotten = True
        return True

    def tell(self, place: Place, spec: PresenceSpec | None) -> None:
        """What is stored of a Dataplane now; ``None``: nothing, for the Dataplane went."""
        before = self._told.pop(place, None)
        if spec is not None:
            self._told[place] = spec
            self._gone.pop(place, None)
            if self._begun and (before is None or before.serving != spec.serving):
                self.changed(*place)
        elif (before and before.serving) or self._is_presumed(place):
            self._presumed -= {place}
            self._early.discard(place)
            self._gone[place] = datetime.now(UTC)
            if len(self._gone) > MOST_REMEMBERED:
                del self._gone[next(iter(self._gone))]

    def dataplane_gone(self, place: Place) -> None:
        """Its Dataplane was deleted: what is presumed of it ends, too."""
        if self._is_presumed(place):
            self.tell(place, None)

    def copied(self) -> Presences:
        """The same, for somebody who imagines something."""
        other = copy(self)
        other._told, other._gone, other._begun = dict(self._told), dict(self._gone), False
        other._early = set(self._early)
        return other

    def tell_all(self, found: Mapping[Place, PresenceSpec]) -> None:
        """What is stored of all Dataplanes now."""
        for place in [*self._told.keys() - found.keys()]:
            self.tell(place, None)
        for place, spec in found.items():
            self.tell(place, spec)
        self._begun = True
