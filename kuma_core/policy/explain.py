"""Why a policy applies and others do not: the same functions that choose, told as data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kuma_core.policy.contract import Destination, Policy, Scope, Subject
from kuma_core.policy.matching import (
    Entry,
    MeshPolicies,
    connection_rank,
    proxy_rank,
)
from kuma_core.policy.routing import route
from kuma_core.policy.selectors import Rank, best_rank
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.tags import TagPairs

NO_DESTINATION = "no destination selector matches"

ResourcesOf = Callable[[str], Mapping[str, Any]]
"""The specs of all resources of a kind in the mesh at hand, by name."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy resource that the matching looked at. ``rank`` is ``None`` if it does not match."""

    name: str
    rank: Rank | None
    applies: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a kind of policy does for a subject: a service, the tags of an inbound, or the proxy (both empty)."""

    kind: str
    scope: Scope
    service: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a connection: its name, and its tag sets."""

    name: str
    tag_sets: tuple[TagPairs, ...]
    spec: DataplaneSpec | None = None


def explain_connection(
    policies: Iterable[Policy],
    stored: MeshPolicies,
    mesh: tuple[str, MeshSpec],
    source: Party,
    destination: Party,
    resources: ResourcesOf = lambda kind: {},
) -> tuple[list[Explanation], tuple[Destination, ...]]:
    """Every policy's explanation for connections of one party to another, and where the route leads them.

    ``stored`` are the mesh's resources of the policies' kinds, ``mesh`` is its name and its spec, ``resources`` gives
    those of any other kind.

    It explains a policy of scope DESTINATION for each service that the route leads to.
    """
    policies = tuple(policies)
    services = sorted({dict(tags)["service"] for tags in destination.tag_sets if "service" in dict(tags)})
    found: list[Explanation] = []
    destinations: list[Destination] = []
    for service in services:
        subject = Subject(source.spec or DataplaneSpec(), *mesh, service, (), {}, resources)
        routed = route(policies, service, partial(_resolve, stored, source, subject))
        destinations += routed
        found += _explained(policies, stored, source, service, {item.service for item in routed})
    found += _explained_inbounds(policies, stored, source, destination)
    return found, tuple(destinations)


def explain_proxy(policies: Iterable[Policy], stored: MeshPolicies, source: Party) -> list[Explanation]:
    """The explanation of every policy that applies to a proxy as a whole."""
    return [
        Explanation(policy.kind, policy.scope, "", tuple(_candidates(policy, stored, source.tag_sets)))
        for policy in policies
        if policy.scope is Scope.PROXY
    ]


def _resolve(stored: MeshPolicies, source: Party, subject: Subject, policy: Policy) -> Hashable | None:
    matches = stored.matches(policy, source.tag_sets, subject.service)
    return policy.resolve(matches, subject) if matches else None


def _explained(
    policies: Iterable[Policy], stored: MeshPolicies, source: Party, service: str, routed: set[str]
) -> Iterator[Explanation]:
    for policy in policies:
        subjects: Mapping[Scope, Iterable[str]] = {
            Scope.ROUTE: (service,),
            Scope.OUTBOUND: (service,),
            Scope.DESTINATION: sorted(routed),
        }
        for subject in subjects.get(policy.scope, ()):
            candidates = _candidates(policy, stored, source.tag_sets, subject)
            yield Explanation(policy.kind, policy.scope, subject, tuple(candidates))


def _explained_inbounds(
    policies: Iterable[Policy], stored: MeshPolicies, source: Party, destination: Party
) -> Iterator[Explanation]:
    for policy in policies:
        if policy.scope is Scope.INBOUND:
            for tags in destination.tag_sets:
                service = dict(tags).get("service", "")
                candidates = _inbound(policy, stored, source, tags)
                yield Explanation(policy.kind, policy.scope, service, tuple(candidates))


def _inbound(policy: Policy, stored: MeshPolicies, source: Party, tags: TagPairs) -> Iterator[Candidate]:
    """For an inbound all that match apply together, whatever their ranks and whichever sources they name."""
    for entry in stored.index(policy.kind).entries.values():
        found = best_rank(entry.ends.destinations, (tags,))
        named = best_rank(entry.ends.sources, source.tag_sets) is not None
        whom = "this source" if named else "other sources"
        reason = f"applies, with all others that match; it names {whom}" if found else NO_DESTINATION
        yield Candidate(entry.name, found, found is not None, reason)


def _candidates(
    policy: Policy, stored: MeshPolicies, tag_sets: tuple[TagPairs, ...], service: str = ""
) -> Iterator[Candidate]:
    entries = list(stored.index(policy.kind).entries.values())
    ranked = {entry.name: _rank(policy, entry, tag_sets, service) for entry in entries}
    winner = next(iter(stored.matches(policy, tag_sets, service)), None)
    for entry in entries:
        applies = winner is not None and entry.name == winner.name
        reason = "applies: no other ranks higher" if applies else ""
        if not applies:
            reason = _why_not(entry, ranked, tag_sets, winner.name if winner else "")
        yield Candidate(entry.name, ranked[entry.name], applies, reason)


def _rank(policy: Policy, entry: Entry, tag_sets: tuple[TagPairs, ...], service: str) -> Rank | None:
    if policy.scope is Scope.PROXY:
        return proxy_rank(entry.ends, tag_sets)
    return connection_rank(entry.ends, tag_sets, service)


def _why_not(
    entry: Entry, ranked: Mapping[str, Rank | None], tag_sets: tuple[TagPairs, ...], winner: str
) -> str:
    own, best = ranked[entry.name], ranked.get(winner)
    if own is None:
        matched = entry.ends.sources and best_rank(entry.ends.sources, tag_sets) is not None
        return f"no {'destination' if matched else 'source'} selector matches"
    return lost_against(winner, best or own, own)


def lost_against(winner: str, best: Rank, own: Rank) -> str:
    """Why a resource that matches does not apply, in a sentence: ``best`` is the rank of the ``winner``."""
    if own < best:
        return f'"{winner}" ranks higher: {_words(best)} against {_words(own)}'
    return f'"{winner}" has the same rank, and its name comes first'


def _words(rank: Rank) -> str:
    return f"{rank.total} tags, {rank.exact} of them exact"
