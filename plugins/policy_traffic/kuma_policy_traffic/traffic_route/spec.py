"""The spec of a TrafficRoute."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from kuma_core.sdk import Spec, Tags, UInt32, Violation
from kuma_policy_traffic.selectors import (
    ANY,
    NO_TAGS,
    SERVICE,
    Selectors,
    connection_problems,
    list_problems,
    tag_problems,
)


class WeightedDestination(Spec):
    """Instances by their tags, and their share of the connections: relative, and possibly none."""

    weight: UInt32 = 0
    destination: Tags = Field(default_factory=lambda: NO_TAGS)


class TrafficRouteSpec(Spec):
    """Where connections from the sources to the destinations go instead."""

    sources: Selectors = ()
    destinations: Selectors = ()
    conf: tuple[WeightedDestination, ...] = ()

    def violations(self) -> Iterator[Violation]:
        """Weights are not checked: Envoy takes any of 32 bits, and no total is asked for."""
        yield from connection_problems(self.sources, self.destinations)
        yield from list_problems("conf", self.conf)
        for index, share in enumerate(self.conf):
            path = f"conf[{index}].destination"
            yield from tag_problems(path, share.destination)
            if share.destination.get(SERVICE) == ANY:
                yield Violation(f'{path}["{SERVICE}"]', _NAME_IT)


_NAME_IT = (
    '"*" stands for any value, which selectors alone can ask for; name the service that gets this share'
)
