"""What a TrafficRoute does: it says where the connections of an outbound go."""

from __future__ import annotations

from kuma_core.sdk import Destination, Match, Subject, sorted_tags


def resolve(matches: tuple[Match, ...], subject: Subject) -> tuple[Destination, ...]:
    """The destinations in the order of ``conf``, those of weight 0 included.

    Raises ``ValueError`` for one without a service: it was stored without validation.
    """
    del subject
    (match,) = matches
    for index, share in enumerate(match.spec.conf):
        if not share.destination.get("service"):
            raise ValueError(f'conf[{index}].destination: mandatory tag "service" is missing')
    return tuple(Destination(sorted_tags(share.destination), share.weight) for share in match.spec.conf)
