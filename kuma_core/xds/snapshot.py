"""Everything that one proxy should have, by type and name: made whole, never changed, compared by version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from kuma_core.xds.seal import Sealed, content_version

TYPES = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
"""The types that we serve, in the order in which Envoy needs them (make before break)."""


class Snapshot:
    """The resources of one proxy. Two snapshots are equal if all of their resources are."""

    __slots__ = ("_resources", "_versions")

    def __init__(self, resources: Iterable[Sealed] = ()) -> None:
        by_type: dict[str, dict[str, Sealed]] = {type_url: {} for type_url in TYPES}
        for item in resources:
            by_type[item.type_url][item.name] = item
        self._resources = {url: MappingProxyType(found) for url, found in by_type.items()}
        self._versions = {url: content_version(found.values()) for url, found in by_type.items()}

    def resources(self, type_url: str) -> Mapping[str, Sealed]:
        """The resources of a type, by name."""
        return self._resources[type_url]

    def version(self, type_url: str) -> str:
        """The version of all resources of a type together."""
        return self._versions[type_url]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Snapshot) and self._versions == other._versions

    def __hash__(self) -> int:
        return hash(tuple(self._versions.values()))


EMPTY = Snapshot()
"""What a proxy gets after somebody deleted its Dataplane."""
