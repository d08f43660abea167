"""What one policy resource does in a mesh: where it applies, where another of its kind wins and why, to which proxies.

The functions that choose for the proxies answer here, too; nothing is matched in another way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

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


Places = Iterator[tuple[Place, list[str]]]

Leads = Mapping[tuple[str, str], Lead]
"""Where the calls of a dataplane to a service go."""

Kind = tuple[Traits, list[str]]
"""Dataplanes that are one and the same to every policy, with what they are to it."""


class Influences:
    """What the resources of policies do in one map. What all of them need of it is looked at once."""

    def __init__(self, found: MeshMap) -> None:
        self.map = found

    @cached_property
    def _kinds(self) -> list[Kind]:
        kinds: dict[Traits, list[str]] = defaultdict(list)
        for name, traits in self.map.traits.items():
            kinds[traits].append(name)
        return list(kinds.items())

    @cached_property
    def _leads(self) -> Leads:
        return {
            (name, edge.destination): flow.lead
            for edge in self.map.edges
            for flow in edge.flows
            for name in flow.clients
        }

    def of(self, policy: Policy, entry: Entry) -> Influence:
        """What a resource of a policy's kind does."""
        look = {Scope.INBOUND: self._inbounds, Scope.PROXY: self._proxies}.get(
            policy.scope, self._connections
        )
        answer = Influence()
        for place, names in look(policy, entry):
            answer.places[place].update(names)
        return answer

    def _connections(self, policy: Policy, entry: Entry) -> Places:
        """A connection is chosen for by its client's tags and the service that it calls, or is led to."""
        index = self.map.stored.index(policy.kind)
        leads = self._leads if policy.scope is Scope.DESTINATION else None
        to = _RanksTo()
        for traits, names in self._kinds:
            own = best_rank(entry.ends.sources, traits.tag_sets) if traits.calls else None
            if own is None:
                continue
            of_winner: dict[str, Rank] = {}
            for called, service in _chosen_for(traits, names[0], leads):
                if (other := to.rank(entry, service)) is None:
                    continue
                best = index.best(traits.tag_sets, service) or entry
                winner = "" if best.name == entry.name else best.name
                if winner and winner not in of_winner:
                    of_winner[winner] = best_rank(best.ends.sources, traits.tag_sets) or Rank()
                theirs = of_winner[winner] + (to.rank(best, service) or Rank()) if winner else Rank()
                why = lost_against(winner, theirs, own + other) if winner else ""
                for source in traits.services:
                    yield Place(source, called, winner, why), names

    def _inbounds(self, policy: Policy, entry: Entry) -> Places:
        """All that match an inbound apply together: nobody loses."""
        for traits, names in self._kinds:
            for tags in () if traits.is_gateway else traits.tag_sets:
                if any(matches(selector, tags) for selector in entry.ends.destinations):
                    yield Place("", service_of(tags)), names

    def _proxies(self, policy: Policy, entry: Entry) -> Places:
        index = self.map.stored.index(policy.kind)
        for traits, names in self._kinds:
            own, best = proxy_rank(entry.ends, traits.tag_sets), index.best_for_proxy(traits.tag_sets)
            if own is None or best is None:
                continue
            rank = proxy_rank(best.ends, traits.tag_sets) or Rank()
            winner = "" if best.name == entry.name else best.name
            why = lost_against(winner, rank, own) if winner else ""
            for service in traits.services:
                yield Place(service, "", winner, why), names

    def let_in(self, kind: str, name: str) -> list[Place]:
        """The connections that a resource lets in."""
        applied = Applied(kind, name)
        return [Place(edge.source, edge.destination) for edge in self.map.edges if applied in edge.let_in]


class _RanksTo:
    """How well resources match the services that are called; each is looked at once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Rank | None] = {}

    def rank(self, entry: Entry, service: str) -> Rank | None:
        key = (entry.name, service)
        if key not in self._known:
            self._known[key] = best_rank(entry.ends.destinations, (destination_tags(service),))
        return self._known[key]


def _chosen_for(traits: Traits, name: str, leads: Leads | None) -> Iterator[tuple[str, str]]:
    """The services that clients call, each with those for which a policy is chosen: where the calls are led, if
    ``leads`` are given."""
    for called in traits.calls:
        if leads is None:
            yield called, called
        elif lead := leads.get((name, called)):
            yield from ((called, led) for led in sorted({item.service for item in lead.shares}))
