"""What a Dataplane's mesh, too, has a say in: whether a certificate can hold the names of its services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kuma_core.errors import Violation
from kuma_core.model import Resource
from kuma_core.specs.dataplane import DATAPLANE, SERVICE, Networking
from kuma_core.specs.spiffe import id_problem


def dataplane_violations(resource: Resource | None) -> list[Violation]:
    """What speaks against a write of a Dataplane."""
    if resource is None or resource.key.type != DATAPLANE:
        return []
    return list(_names(resource.mesh, resource.spec.networking))


def _names(mesh: str, networking: Networking) -> Iterator[Violation]:
    for place, tags in _tag_sets(networking):
        problem = id_problem(mesh, tags.get(SERVICE, ""))
        if problem:
            yield Violation(f'{place}["{SERVICE}"]', problem)


def _tag_sets(networking: Networking) -> Iterator[tuple[str, Mapping[str, str]]]:
    for index, inbound in enumerate(networking.inbound):
        yield f"networking.inbound[{index}].tags", inbound.tags
    if networking.gateway:
        yield "networking.gateway.tags", networking.gateway.tags
