"""The frozen view of one mesh, from which generators and policies work.

Nothing changes a view: every change makes a new one, which shares with the old one what stayed the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self

from kuma_core.mesh.contract import Endpoint, EndpointSet
from kuma_core.mesh.topology import endpoint_set, endpoints_of
from kuma_core.specs.dataplane import SERVICE, DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.tags import TagPairs, matches, sorted_tags

Offers = Mapping[str, Mapping[str, tuple[Endpoint, ...]]]
"""By service, by dataplane: the endpoints that the one offers for the other."""

_NOTHING: Mapping[str, tuple[Endpoint, ...]] = MappingProxyType({})


@dataclass(frozen=True)
class MeshContext:
    """One mesh: its own spec (``None`` while there is no such mesh), the specs of its dataplanes by name.

    ``absent`` are the names of those whose instances do not serve: they offer nothing.
    """

    name: str
    mesh: MeshSpec | None = None
    dataplanes: Mapping[str, DataplaneSpec] = field(default_factory=dict)
    offers: Offers = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    _selected: dict[TagPairs, EndpointSet] = field(default_factory=dict, compare=False, repr=False)

    def endpoints(self, selector: Mapping[str, str]) -> EndpointSet:
        """The endpoints of the destination that the tags select; ``service`` is one of them.

        It keeps its answers, so that all proxies of the mesh share one set for one destination.
        """
        wanted = sorted_tags(selector)
        if wanted not in self._selected:
            offered = self.offers.get(selector[SERVICE], _NOTHING).values()
            chosen = [item for endpoints in offered for item in endpoints if matches(wanted, item.tags)]
            self._selected[wanted] = endpoint_set(chosen)
        return self._selected[wanted]

    def absent_offers(self) -> Offers:
        """What the dataplanes would offer that do not serve."""
        offers: dict[str, dict[str, tuple[Endpoint, ...]]] = {}
        for name in sorted(self.absent):
            for service, endpoints in _offered_by(self.dataplanes.get(name)).items():
                offers.setdefault(service, {})[name] = endpoints
        return offers

    def with_mesh(self, spec: MeshSpec | None) -> Self:
        """The view with another spec of the mesh itself."""
        return replace(self, mesh=spec)

    def with_dataplane(
        self, name: str, spec: DataplaneSpec | None, serves: bool = True
    ) -> tuple[Self, frozenset[str]]:
        """The view with one dataplane added, replaced or (``None``) removed; one that does not serve offers nothing.

        Also returns the services whose endpoints differ from before.
        """
        before = None if name in self.absent else self.dataplanes.get(name)
        dataplanes = {key: value for key, value in self.dataplanes.items() if key != name}
        if spec:
            dataplanes[name] = spec
        old, new = _offered_by(before), _offered_by(spec if serves else None)
        touched = frozenset(service for service in {*old, *new} if old.get(service) != new.get(service))
        offers = {**self.offers}
        for service in touched:
            offers[service] = _changed(offers.get(service, _NOTHING), name, new.get(service))
        kept = {key: value for key, value in self._selected.items() if dict(key)[SERVICE] not in touched}
        view = replace(
            self,
            dataplanes=MappingProxyType(dataplanes),
            offers=MappingProxyType({service: found for service, found in offers.items() if found}),
            absent=self.absent - {name} if serves or spec is None else self.absent | {name},
            _selected=kept,
        )
        return view, touched


def build_context(
    name: str,
    mesh: MeshSpec | None,
    dataplanes: Iterable[tuple[str, DataplaneSpec]],
    serves: Callable[[str], bool] = lambda dataplane: True,
) -> MeshContext:
    """A view made from everything at once: the mesh and its dataplanes as ``(name, spec)``, and which of them serve."""
    found = dict(dataplanes)
    absent = frozenset(dataplane for dataplane in found if not serves(dataplane))
    offers: dict[str, dict[str, tuple[Endpoint, ...]]] = {}
    for dataplane, spec in found.items():
        for service, endpoints in _offered_by(None if dataplane in absent else spec).items():
            offers.setdefault(service, {})[dataplane] = endpoints
    return MeshContext(name, mesh, MappingProxyType(found), MappingProxyType(offers), absent)


def _offered_by(spec: DataplaneSpec | None) -> dict[str, tuple[Endpoint, ...]]:
    offered: dict[str, tuple[Endpoint, ...]] = {}
    for service, endpoint in endpoints_of(spec) if spec else ():
        offered[service] = (*offered.get(service, ()), endpoint)
    return offered


def _changed(
    offers: Mapping[str, tuple[Endpoint, ...]], dataplane: str, endpoints: tuple[Endpoint, ...] | None
) -> Mapping[str, tuple[Endpoint, ...]]:
    rest = {key: value for key, value in offers.items() if key != dataplane}
    return MappingProxyType({**rest, dataplane: endpoints} if endpoints else rest)
