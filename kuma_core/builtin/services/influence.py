"""What one policy resource does in a mesh: where it applies, where another of its kind wins and why, to which proxies.

The functions that choose for the proxies answer here, too; nothing is matched in another way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kuma_core.builtin.services.decisions import Applied, Lead
from kuma_core.builtin.services.mesh_map import MeshMap
from kuma_core.builtin.services.parties import Traits, service_of
from kuma_core.policy.contract import Policy, Scope
from kuma_core.policy.explain import lost_against
from kuma_core.policy.matching import Entry, destination_tags, proxy_rank
from kuma_core.policy.selectors import Rank, best_rank
from kuma_core.specs.tags import matches


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a resource matches: a connection (``source`` and ``destination`` are services), an inbound (no source), or
    a proxy (no destination). ``winner`` is the resource that applies instead, ``reason`` says why; empty if it does."""

    source: str
    destination: str
    winner: str = ""
    reason: str = ""


@dataclass(slots=True)
class Influence:
    """By place the dataplanes that configure Envoy there: the clients of a connection, those with the inbound."""

    places: dict[Place, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def won(self) -> dict[Place, set[str]]:
        """Where it applies."""
        return {place: names for place, names in self.places.items() if not place.winner}

    @property
    def lost(self) -> dict[Place, set[str]]:
        """Where another one does."""
        return {place: names for place, names in self.places.items() if place.winner}

    @property
    def proxies(self) -> set[str]:
        """The dataplanes whose proxies it configures."""
        return {name for names in self.won.values() for name in names}


def influence(found: MeshMap, policy: Policy, entry: Entry) -> Influence:
    """What a resource of a policy's kind does in a mesh."""
    look = {Scope.INBOUND: _inbounds, Scope.PROXY: _proxies}.get(policy.scope, _connections)
    answer = Influence()
    for place, names in look(found, policy, entry):
        answer.places[place].update(names)
    return answer


Places = Iterator[tuple[Place, list[str]]]


def _connections(found: MeshMap, policy: Policy, entry: Entry) -> Places:
    """A connection is chosen for by its client's tags and the service that it calls, or is led to."""
    index = found.stored.index(policy.kind)
    named: dict[str, Rank | None] = {}
    leads = _leads(found) if policy.scope is Scope.DESTINATION else None
    for traits, names in _kinds(found):
        own = best_rank(entry.ends.sources, traits.tag_sets) if traits.calls else None
        if own is None:
            continue
        for called, service in _chosen_for(traits, names[0], leads):
            if service not in named:
                named[service] = best_rank(entry.ends.destinations, (destination_tags(service),))
            if (other := named[service]) is None:
                continue
            winner, why = _against(entry, own + other, index.best(traits.tag_sets, service), traits, service)
            for source in traits.services:
                yield Place(source, called, winner, why), names


def _against(entry: Entry, own: Rank, best: Entry | None, traits: Traits, service: str) -> tuple[str, str]:
    if best is None or best.name == entry.name:
        return "", ""
    source = best_rank(best.ends.sources, traits.tag_sets) or Rank()
    other = best_rank(best.ends.destinations, (destination_tags(service),)) or Rank()
    return best.name, lost_against(best.name, source + other, own)


Leads = Mapping[tuple[str, str], Lead]
"""Where the calls of a dataplane to a service go."""


def _leads(found: MeshMap) -> Leads:
    return {
        (name, edge.destination): flow.lead
        for edge in found.edges
        for flow in edge.flows
        for name in flow.clients
    }


def _chosen_for(traits: Traits, name: str, leads: Leads | None) -> Iterator[tuple[str, str]]:
    """The services that clients call, each with those for which a policy is chosen: where the calls are led, if
    ``leads`` are given."""
    for called in traits.calls:
        if leads is None:
            yield called, called
        elif lead := leads.get((name, called)):
            yield from ((called, led) for led in sorted({item.service for item in lead.shares}))


def _inbounds(found: MeshMap, policy: Policy, entry: Entry) -> Places:
    """All that match an inbound apply together: nobody loses. With what a policy admits come the connections."""
    for traits, names in _kinds(found):
        for tags in () if traits.is_gateway else traits.tag_sets:
            if any(matches(selector, tags) for selector in entry.ends.destinations):
                yield Place("", service_of(tags)), names


def _proxies(found: MeshMap, policy: Policy, entry: Entry) -> Places:
    index = found.stored.index(policy.kind)
    for traits, names in _kinds(found):
        own, best = proxy_rank(entry.ends, traits.tag_sets), index.best_for_proxy(traits.tag_sets)
        if own is None or best is None:
            continue
        for service in traits.services:
            if best.name == entry.name:
                yield Place(service, ""), names
            else:
                rank = proxy_rank(best.ends, traits.tag_sets) or Rank()
                yield Place(service, "", best.name, lost_against(best.name, rank, own)), names


def _kinds(found: MeshMap) -> list[tuple[Traits, list[str]]]:
    """The dataplanes of a mesh, those together that are one and the same to every policy."""
    kinds: dict[Traits, list[str]] = defaultdict(list)
    for name, traits in found.traits.items():
        kinds[traits].append(name)
    return list(kinds.items())


def let_in(found: MeshMap, kind: str, name: str) -> list[Place]:
    """The connections that a resource lets in."""
    applied = Applied(kind, name)
    return [Place(edge.source, edge.destination) for edge in found.edges if applied in edge.let_in]
