"""Who takes part in a mesh: what policies and maps need to know of each dataplane, looked at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kuma_core.specs.dataplane import SERVICE, DataplaneSpec
from kuma_core.specs.tags import TagPairs, sorted_tags


@dataclass(frozen=True, slots=True)
class Traits:
    """What connections depend on, of a dataplane: its tag sets, its services, and the services that it calls.

    Dataplanes with equal traits are one and the same to every policy. A tag set with ``""`` as its service has none.
    """

    tag_sets: tuple[TagPairs, ...]
    services: tuple[str, ...]
    calls: tuple[str, ...]
    is_gateway: bool = False


def traits_of(spec: DataplaneSpec) -> Traits:
    """The traits of a dataplane."""
    networking = spec.networking
    return Traits(
        tuple(sorted_tags(tags) for tags in spec.tag_sets()),
        spec.services(),
        tuple(sorted({item.service for item in networking.outbound})),
        networking.gateway is not None,
    )


class Parties:
    """The traits of a mesh's dataplanes; what did not change since the last look is kept.

    For one thread at a time.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[DataplaneSpec, Traits]] = {}

    def look(self, dataplanes: Mapping[str, DataplaneSpec]) -> dict[str, Traits]:
        """The traits of each dataplane, by its name, in the order of names."""
        known = self._known
        self._known = dict(self._looked_at(dataplanes, known))
        return {name: traits for name, (_, traits) in self._known.items()}

    @staticmethod
    def _looked_at(
        dataplanes: Mapping[str, DataplaneSpec], known: Mapping[str, tuple[DataplaneSpec, Traits]]
    ) -> Iterator[tuple[str, tuple[DataplaneSpec, Traits]]]:
        for name in sorted(dataplanes):
            spec, before = dataplanes[name], known.get(name)
            yield name, before if before and before[0] is spec else (spec, traits_of(spec))


def service_of(tags: TagPairs) -> str:
    """The service that a tag set names, ``""`` if it names none."""
    return dict(tags).get(SERVICE, "")
