"""The spec of a TrafficRoute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from kuma_core.sdk import Severity, Spec, Tags, UInt32, Violation
from kuma_policy_traffic.selectors import (
    ANY,
    NO_TAGS,
    SERVICE,
    Selectors,
    connection_problems,
    list_problems,
    tag_problems,
)

NOWHERE = "no share has a weight above 0, so that connections to the destinations are closed at once"
LEFT_OUT = "is left out and counts as 0, so that no connection goes to this destination"


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
        """Any weight will do, as Envoy takes all of 32 bits; one that takes a service off the air is warned of."""
        yield from connection_problems(self.sources, self.destinations)
        yield from list_problems("conf", self.conf)
        for index, share in enumerate(self.conf):
            path = f"conf[{index}].destination"
            yield from tag_problems(path, share.destination)
            if share.destination.get(SERVICE) == ANY:
                yield Violation(f'{path}["{SERVICE}"]', _NAME_IT)
        if self.conf and not any(share.weight for share in self.conf):
            yield Violation("conf", NOWHERE, Severity.WARNING)

    @classmethod
    def misread(cls, raw: Mapping[str, Any]) -> Iterator[Violation]:
        """A weight that was forgotten beside others; stored, it is no other than one of 0."""
        conf = raw.get("conf")
        shares = [share for share in conf if isinstance(share, Mapping)] if isinstance(conf, list) else []
        if any(share.get("weight") for share in shares):
            for index, share in enumerate(shares):
                if share.get("weight") is None:
                    yield Violation(f"conf[{index}].weight", LEFT_OUT, Severity.WARNING)


_NAME_IT = (
    '"*" stands for any value, which selectors alone can ask for; name the service that gets this share'
)
