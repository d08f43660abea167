"""Who offers a service: endpoints, frozen, so that equal ones are equal bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

from kuma_core.specs.tags import TagPairs


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One inbound as others reach it: address, port and all of its tags, sorted by key."""

    ip: str
    port: int
    tags: TagPairs


@dataclass(frozen=True, slots=True)
class EndpointSet:
    """The endpoints of one destination, sorted, without repetition. Hashed once, compared often."""

    endpoints: tuple[Endpoint, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.endpoints))

    def __hash__(self) -> int:
        return self._hash
