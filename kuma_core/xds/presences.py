"""Which Dataplanes are endpoints for others: those whose instances serve, as far as anybody told.

One thread alone tells; any may ask. Nothing here reads anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import UTC, datetime

from kuma_core.specs.presence import PresenceSpec, PresenceStatus, status_of_presence

Place = tuple[str, str]
"""Mesh and name of a Dataplane."""

MOST_REMEMBERED = 100_000
"""How many Dataplanes that served and went we remember, so that one that comes back serves again."""


class Presences:
    """What was told of each Dataplane. Where ``everybody`` is an endpoint, nobody is looked at."""

    def __init__(self, everybody: bool = False) -> None:
        self.everybody = everybody
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
        return (mesh, name) in self._presumed if told is None else told.serving

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

    def tell(self, place: Place, spec: PresenceSpec | None) -> None:
        """What is stored of a Dataplane now; ``None``: nothing, for the Dataplane went."""
        before = self._told.pop(place, None)
        if spec is not None:
            self._told[place] = spec
            self._gone.pop(place, None)
            if self._begun and (before is None or before.serving != spec.serving):
                self.changed(*place)
        elif (before and before.serving) or place in self._presumed:
            self._presumed -= {place}
            self._gone[place] = datetime.now(UTC)
            if len(self._gone) > MOST_REMEMBERED:
                del self._gone[next(iter(self._gone))]

    def dataplane_gone(self, place: Place) -> None:
        """Its Dataplane was deleted: what is presumed of it ends, too."""
        if place in self._presumed:
            self.tell(place, None)

    def copied(self) -> Presences:
        """The same, for somebody who imagines something."""
        other = copy(self)
        other._told, other._gone, other._begun = dict(self._told), dict(self._gone), False
        return other

    def tell_all(self, found: Mapping[Place, PresenceSpec]) -> None:
        """What is stored of all Dataplanes now."""
        for place in [*self._told.keys() - found.keys()]:
            self.tell(place, None)
        for place, spec in found.items():
            self.tell(place, spec)
        self._begun = True
