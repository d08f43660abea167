"""Which policies of a mesh apply: indexed, so that a question costs what it finds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from kuma_core.policy.contract import Ends, Match, Policy, Scope
from kuma_core.policy.selectors import Rank, best_rank
from kuma_core.specs.tags import ANY, TagPairs

SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy resource with its selectors as values."""

    name: str
    spec: object = field(hash=False)
    ends: Ends

    @property
    def match(self) -> Match:
        """What ``resolve`` gets of it."""
        return Match(self.name, self.spec)


def destination_tags(service: str) -> TagPairs:
    """The service alone names a destination, whatever other tags its instances have."""
    return ((SERVICE, service),)


REMEMBERED_ANSWERS = 100_000
"""How many answers the memory holds, some hundred bytes each. Those for tags that no proxy has any more count, too."""


class PolicyIndex:
    """All resources of one policy kind in one mesh, by the services that their selectors name.

    Immutable. It keeps its answers, since many proxies ask the same.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = MappingProxyType(
            {entry.name: entry for entry in sorted(entries, key=lambda e: e.name)}
        )
        self._by_source = self._index(lambda ends: ends.sources)
        self._by_destination = self._index(lambda ends: ends.destinations)
        self._answers: dict[tuple[object, ...], Entry | None] = {}

    def _index(self, end: Callable[[Ends], tuple[TagPairs, ...]]) -> Mapping[str, set[str]]:
        index: dict[str, set[str]] = defaultdict(set)
        for entry in self.entries.values():
            for selector in end(entry.ends):
                index[dict(selector).get(SERVICE, ANY)].add(entry.name)
        return index

    def with_entry(self, name: str, entry: Entry | None) -> PolicyIndex:
        """The index with one resource added, replaced or (``None``) removed."""
        others = [found for found in self.entries.values() if found.name != name]
        return PolicyIndex([*others, entry] if entry else others)

    def best(self, tag_sets: tuple[TagPairs, ...], service: str) -> Entry | None:
        """The resource that governs connections from a proxy with these tags to a service."""
        key = (tag_sets, service)
        if key in (answers := self._answers):
            return answers[key]
        candidates = self._sources(tag_sets) & self._named(self._by_destination, {service})
        return self._remember(
            key,
            _winner(
                (self.entries[name], connection_rank(self.entries[name].ends, tag_sets, service))
                for name in sorted(candidates)
            ),
        )

    def best_for_proxy(self, tag_sets: tuple[TagPairs, ...]) -> Entry | None:
        """The resource whose sources match a proxy best; one without selectors matches every proxy, worst."""
        key = (tag_sets,)
        if key in (answers := self._answers):
            return answers[key]
        ranks = ((entry, proxy_rank(entry.ends, tag_sets)) for entry in self.entries.values())
        return self._remember(key, _winner(ranks))

    def _remember(self, key: tuple[object, ...], answer: Entry | None) -> Entry | None:
        """Replace a full memory by an empty one, and do not clear it: another thread may be reading it."""
        if len(self._answers) >= REMEMBERED_ANSWERS:
            self._answers = {}
        self._answers[key] = answer
        return answer

    def all_for_inbound(self, tags: TagPairs) -> tuple[Entry, ...]:
        """Every resource with a destination that matches an inbound, by name."""
        named = self._named(self._by_destination, {dict(tags).get(SERVICE, "")})
        found = (self.entries[name] for name in sorted(named))
        return tuple(entry for entry in found if best_rank(entry.ends.destinations, (tags,)) is not None)

    def _sources(self, tag_sets: tuple[TagPairs, ...]) -> set[str]:
        return self._named(self._by_source, {dict(tags).get(SERVICE, "") for tags in tag_sets})

    def _named(self, index: Mapping[str, set[str]], services: set[str]) -> set[str]:
        return set().union(*(index.get(service, ()) for service in {*services, ANY}))


def connection_rank(ends: Ends, tag_sets: tuple[TagPairs, ...], service: str) -> Rank | None:
    """The best source rank plus the best destination rank; ``None`` if one end does not match."""
    source = best_rank(ends.sources, tag_sets)
    destination = best_rank(ends.destinations, (destination_tags(service),))
    return None if source is None or destination is None else source + destination


def proxy_rank(ends: Ends, tag_sets: tuple[TagPairs, ...]) -> Rank | None:
    """The best source rank; without any selector the lowest rank there is."""
    return best_rank(ends.sources, tag_sets) if ends.sources else Rank()


def _winner(ranked: Iterable[tuple[Entry, Rank | None]]) -> Entry | None:
    """The first of those with the highest rank; they come sorted by name."""
    best: tuple[Entry, Rank] | None = None
    for entry, found in ranked:
        if found is not None and (best is None or found > best[1]):
            best = (entry, found)
    return best[0] if best else None


EMPTY_INDEX = PolicyIndex()
_NO_PROBLEMS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class MeshPolicies:
    """The policies of one mesh, by kind."""

    indexes: Mapping[str, PolicyIndex] = field(default_factory=dict)
    problems: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By kind and name: resources whose ``ends`` failed, and how. Nobody knows to whom they apply."""

    def unplaced(self, kind: str) -> Mapping[str, str]:
        """The resources of a kind of which nobody knows to whom they apply, by name, and why."""
        return self.problems.get(kind, _NO_PROBLEMS) if self.problems else _NO_PROBLEMS

    def with_problem(self, kind: str, name: str, problem: str) -> MeshPolicies:
        """The policies with the problem of one resource; an empty one takes it away."""
        others = {key: told for key, told in self.unplaced(kind).items() if key != name}
        found = {**others, name: problem} if problem else others
        kinds = {key: value for key, value in self.problems.items() if key != kind}
        return replace(self, problems={**kinds, kind: found} if found else kinds)

    def index(self, kind: str) -> PolicyIndex:
        """The resources of a kind."""
        return self.indexes.get(kind, EMPTY_INDEX)

    def with_entry(self, kind: str, name: str, entry: Entry | None) -> MeshPolicies:
        """The policies with one resource added, replaced or (``None``) removed."""
        changed = self.index(kind).with_entry(name, entry)
        return replace(self, indexes=MappingProxyType({**self.indexes, kind: changed}))

    def matches(
        self, policy: Policy, tag_sets: tuple[TagPairs, ...], service: str = "", tags: TagPairs = ()
    ) -> tuple[Match, ...]:
        """The resources of a policy that apply to a subject: to a service, an inbound or the proxy itself."""
        index = self.index(policy.kind)
        if policy.scope is Scope.INBOUND:
            return tuple(entry.match for entry in index.all_for_inbound(tags))
        one = index.best_for_proxy(tag_sets) if policy.scope is Scope.PROXY else index.best(tag_sets, service)
        return (one.match,) if one else ()


def touches(policy: Policy, entry: Entry, tag_sets: tuple[TagPairs, ...], services: Iterable[str]) -> bool:
    """Whether a resource can matter to a proxy with these tags that reaches these services."""
    if policy.scope is Scope.INBOUND:
        return best_rank(entry.ends.destinations, tag_sets) is not None
    if policy.scope is Scope.PROXY:
        return proxy_rank(entry.ends, tag_sets) is not None
    if best_rank(entry.ends.sources, tag_sets) is None:
        return False
    return any(
        best_rank(entry.ends.destinations, (destination_tags(service),)) is not None for service in services
    )


def entries(policy: Policy, resources: Iterable[tuple[str, object]]) -> Iterator[Entry]:
    """Entries for resources given as ``(name, spec)``."""
    return (Entry(name, spec, policy.ends(spec)) for name, spec in resources)
