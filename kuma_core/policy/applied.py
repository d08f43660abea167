"""Which policies govern one proxy, what of it each one governs, and why: by the functions that configure it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kuma_core.policy.contract import Policy, Scope
from kuma_core.policy.matching import MeshPolicies, connection_rank, proxy_rank
from kuma_core.policy.selectors import Rank
from kuma_core.specs.tags import TagPairs

FOR_ALL = "it has no selectors, and so applies to every proxy for which no other one matches"
INBOUND = "a destination selector matches the inbound; all that match apply together"
NOT_ASKED = "a destination selector matches the inbound, but nobody is asked for permission while mTLS is off"


@dataclass(frozen=True, slots=True)
class Called:
    """A service that the proxy calls, and the services to which the route leads its calls."""

    service: str
    led_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Governed:
    """A policy resource, and a part of the proxy that it governs: a service, an inbound's tags, or all (both empty)."""

    kind: str
    name: str
    scope: Scope
    service: str
    tags: TagPairs
    reason: str


def governed(
    policies: Iterable[Policy],
    stored: MeshPolicies,
    tag_sets: tuple[TagPairs, ...],
    calls: Sequence[Called],
    inbounds: Sequence[TagPairs],
    encrypted: bool,
) -> Iterator[Governed]:
    """Everything that applies to a proxy with these tags, kind by kind in the order in which policies apply.

    ``encrypted`` tells whether mTLS is on in its mesh.
    """
    for policy in sorted(policies, key=lambda item: item.order):
        if policy.scope is Scope.INBOUND:
            reason = NOT_ASKED if policy.admits and not encrypted else INBOUND
            for tags in dict.fromkeys(inbounds):
                yield from _of_inbound(policy, stored, tags, reason)
        elif policy.scope is Scope.PROXY:
            yield from _of_one(policy, stored, tag_sets, "")
        else:
            for service in _services(policy, calls):
                yield from _of_one(policy, stored, tag_sets, service)


def _services(policy: Policy, calls: Sequence[Called]) -> Iterable[str]:
    """The services for which a policy is chosen: what is called, or what the route makes of it."""
    if policy.scope is Scope.DESTINATION:
        return sorted({service for item in calls for service in item.led_to})
    return sorted({item.service for item in calls})


def _of_inbound(policy: Policy, stored: MeshPolicies, tags: TagPairs, reason: str) -> Iterator[Governed]:
    for match in stored.matches(policy, (), "", tags):
        yield Governed(policy.kind, match.name, policy.scope, "", tags, reason)


def _of_one(
    policy: Policy, stored: MeshPolicies, tag_sets: tuple[TagPairs, ...], service: str
) -> Iterator[Governed]:
    for match in stored.matches(policy, tag_sets, service):
        ends = stored.index(policy.kind).entries[match.name].ends
        if policy.scope is Scope.PROXY:
            reason = _why(proxy_rank(ends, tag_sets)) if ends.sources else FOR_ALL
        else:
            reason = _why(connection_rank(ends, tag_sets, service))
        yield Governed(policy.kind, match.name, policy.scope, service, (), reason)


def _why(rank: Rank | None) -> str:
    assert rank is not None  # it matched
    tags = "1 tag matches" if rank.total == 1 else f"{rank.total} tags match"
    return f"{tags}, {rank.exact} of them exactly; no other one of its kind ranks higher"
