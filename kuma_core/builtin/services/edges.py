"""Who calls whom in one frozen view of a mesh, where the calls go, and whether they may come in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kuma_core.builtin.services.decisions import Applied, Decisions, Lead
from kuma_core.builtin.services.parties import Traits
from kuma_core.mesh.context import MeshContext
from kuma_core.policy.contract import Destination
from kuma_core.specs.dataplane import SERVICE
from kuma_core.specs.tags import TagPairs, matches

ALLOWED, PARTLY, DENIED, PLAINTEXT = "allowed", "partly", "denied", "plaintext"
"""Whether calls may come in. In a mesh without encryption nobody asks."""


@dataclass(frozen=True, slots=True)
class Group:
    """The instances behind a share whose inbounds have the same tags, also those that do not serve; ``names`` are
    dataplanes, ``count`` endpoints."""

    tags: TagPairs
    names: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the calls: where it goes, and who is there."""

    destination: Destination
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """The calls of clients that are one to every policy."""

    clients: tuple[str, ...]
    lead: Lead
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """All calls of one service to another. ``access`` is one of the words above, ``let_in`` are the policies that
    allow, ``allowed`` of ``pairs`` kinds of client and instance may connect."""

    source: str
    destination: str
    flows: tuple[Flow, ...]
    access: str
    let_in: tuple[Applied, ...]
    allowed: int = 0
    pairs: int = 0

    @property
    def clients(self) -> tuple[str, ...]:
        """The dataplanes that call."""
        return tuple(name for flow in self.flows for name in flow.clients)


class EdgeFinder:
    """Finds the edges of a view. For one use."""

    def __init__(self, context: MeshContext, decisions: Decisions, traits: Mapping[str, Traits]) -> None:
        self._context, self._decisions, self._traits = context, decisions, traits
        self._absent = context.absent_offers()
        self._groups: dict[TagPairs, tuple[Group, ...]] = {}
        self._shares: dict[int, tuple[Share, ...]] = {}

    def find(self) -> tuple[Edge, ...]:
        """All edges, by source and destination."""
        found: dict[tuple[str, str], dict[tuple[tuple[str, ...], int], _Callers]] = defaultdict(dict)
        for traits, names in self._kinds_of_clients():
            spec = self._context.dataplanes[names[0]]
            for called in traits.calls:
                lead = self._decisions.lead(traits, spec, called)
                for source in traits.services:
                    callers = found[source, called]
                    key = (traits.services, id(lead))
                    callers.setdefault(key, _Callers(traits.services, lead, [])).names.extend(names)
        return tuple(self._edge(*ends, callers.values()) for ends, callers in sorted(found.items()))

    def _kinds_of_clients(self) -> Iterable[tuple[Traits, list[str]]]:
        kinds: dict[Traits, list[str]] = defaultdict(list)
        for name, traits in self._traits.items():
            if traits.calls:
                kinds[traits].append(name)
        return kinds.items()

    def _edge(self, source: str, destination: str, callers: Iterable[_Callers]) -> Edge:
        callers = tuple(callers)
        flows = tuple(Flow(tuple(sorted(item.names)), item.lead, self._shared(item.lead)) for item in callers)
        if not self._decisions.mesh.is_encrypted():
            return Edge(source, destination, flows, PLAINTEXT, ())
        asked = [found for item in callers for found in self._asked(item, destination)]
        allowed = sum(1 for found in asked if found)
        let_in = tuple(sorted({name for found in asked for name in found}))
        access = ALLOWED if allowed == len(asked) else PARTLY if allowed else DENIED
        return Edge(source, destination, flows, access, let_in, allowed, len(asked))

    def _asked(self, callers: _Callers, destination: str) -> list[tuple[Applied, ...]]:
        """Who lets the callers in, for each group that they reach; where nobody is, as if an instance came."""
        groups = [group for share in self._shared(callers.lead) for group in share.groups]
        if not groups:
            tags, spec = ((SERVICE, destination),), self._context.dataplanes[callers.names[0]]
            return [self._decisions.lets_in(callers.services, tags, spec)]
        return [self._lets_in(callers.services, group) for group in groups]

    def _lets_in(self, services: tuple[str, ...], group: Group) -> tuple[Applied, ...]:
        return self._decisions.lets_in(services, group.tags, self._context.dataplanes[group.names[0]])

    def _shared(self, lead: Lead) -> tuple[Share, ...]:
        """What a lead comes to; equal ones are one object, which lives as long as the decisions."""
        if id(lead) not in self._shares:
            self._shares[id(lead)] = tuple(
                Share(item, self._behind(item.tags)) for item in lead.shares if item.weight
            )
        return self._shares[id(lead)]

    def _behind(self, tags: TagPairs) -> tuple[Group, ...]:
        if tags not in self._groups:
            names: dict[TagPairs, list[str]] = defaultdict(list)
            for name, found in self._endpoints(tags):
                names[found].append(name)
            self._groups[tags] = tuple(
                Group(found, tuple(sorted(set(who))), len(who)) for found, who in sorted(names.items())
            )
        return self._groups[tags]

    def _endpoints(self, tags: TagPairs) -> Iterator[tuple[str, TagPairs]]:
        """Who is behind a destination, and who will be once it serves."""
        service = dict(tags)[SERVICE]
        offered = {**self._context.offers.get(service, {}), **self._absent.get(service, {})}
        for name, endpoints in offered.items():
            for endpoint in endpoints:
                if matches(tags, endpoint.tags):
                    yield name, endpoint.tags


@dataclass(slots=True)
class _Callers:
    services: tuple[str, ...]
    lead: Lead
    names: list[str]
