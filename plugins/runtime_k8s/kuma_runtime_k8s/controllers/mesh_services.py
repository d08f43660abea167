"""What each mesh offers, counted as Dataplanes come and go, and the outbounds that follow for all of its Dataplanes."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable

from kuma_runtime_k8s.controllers.annotations import Object
from kuma_runtime_k8s.controllers.dataplanes import Addresses, outbounds


class MeshServices:
    """Counts services by mesh. A change of one Dataplane costs as much as the services that it offers."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._guard = threading.Lock()
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._made: dict[str, list[Object]] = {}

    def moved(
        self, before: tuple[str, Iterable[str]] | None, now: tuple[str, Iterable[str]] | None
    ) -> set[str]:
        """A Dataplane of a mesh offers other services; which meshes offer more or fewer by that."""
        changed: set[str] = set()
        with self._guard:
            for entry, step in ((now, 1), (before, -1)):
                mesh, services = entry or ("", ())
                for service in services:
                    count = self._counts[mesh]
                    count[service] += step
                    if count[service] == (1 if step > 0 else 0):
                        changed.add(mesh)
                    if not count[service]:
                        del count[service]
        return changed

    def outbounds(self, mesh: str) -> list[Object]:
        """The outbounds of every Dataplane of a mesh."""
        with self._guard:
            if mesh not in self._made:
                self._made[mesh] = outbounds(self._counts[mesh], self._addresses)
            return self._made[mesh]

    def renew(self, mesh: str) -> bool:
        """Make the outbounds of a mesh anew; whether they are others than before."""
        with self._guard:
            before = self._made.get(mesh)
            self._made[mesh] = outbounds(self._counts[mesh], self._addresses)
            return before != self._made[mesh]

    def meshes(self) -> list[str]:
        """Every mesh that has Dataplanes."""
        with self._guard:
            return [mesh for mesh, count in self._counts.items() if count]
