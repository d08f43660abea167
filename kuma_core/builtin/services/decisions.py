"""What the policies of a mesh say of its connections: asked of the functions that also configure the proxies."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from kuma_core.builtin.services.parties import Traits
from kuma_core.policy.contract import Destination, Policy, Scope, Subject
from kuma_core.policy.matching import MeshPolicies
from kuma_core.policy.routing import route
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.spiffe import provable
from kuma_core.specs.tags import TagPairs

ResourcesOf = Callable[[str], Mapping[str, Any]]
"""The specs of all resources of a kind in the mesh, by name; raises ``KeyError``."""


class Applied(NamedTuple):
    """A policy resource that applies to a connection."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Lead:
    """Where calls of one client to a service go: the shares, and which policies made or follow the connections.

    ``problem`` says that a policy failed: what the proxies do is then what they did before.
    """

    shares: tuple[Destination, ...]
    routes: tuple[Applied, ...] = ()
    others: tuple[Applied, ...] = ()
    problem: str = ""

    @property
    def weight(self) -> int:
        """The sum of all weights; 0 if nobody gets a share."""
        return sum(item.weight for item in self.shares)


@dataclass(frozen=True, slots=True)
class _Door:
    """What a policy of scope INBOUND resolved to for an inbound."""

    policy: Policy
    conf: Hashable


class Decisions:
    """Answers for a mesh with these policies, and remembers what it answered. For one thread at a time."""

    def __init__(
        self,
        name: str,
        mesh: MeshSpec,
        stored: MeshPolicies,
        policies: Iterable[Policy],
        resources: ResourcesOf = lambda kind: {},
    ) -> None:
        self.mesh = mesh
        self.problems: dict[str, None] = {}
        self._stored = stored
        self._name, self._resources = name, resources
        policies = tuple(policies)
        self._routes, self._followers, self._led_by, self._doorkeepers = (
            tuple(policy for policy in policies if policy.scope is scope)
            for scope in (Scope.ROUTE, Scope.OUTBOUND, Scope.DESTINATION, Scope.INBOUND)
        )
        self._leads: dict[tuple[tuple[TagPairs, ...], str], Lead] = {}
        self._same: dict[Lead, Lead] = {}
        self._doors: dict[TagPairs, tuple[_Door, ...]] = {}
        self._ids: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._entries: dict[tuple[tuple[str, ...], TagPairs], tuple[Applied, ...]] = {}

    @property
    def size(self) -> int:
        """How many answers it remembers, those for dataplanes that are gone among them."""
        return len(self._leads) + len(self._entries)

    def lead(self, client: Traits, spec: DataplaneSpec, service: str) -> Lead:
        """Where calls of a client to a service go; ``spec`` is a dataplane with these traits.

        Equal answers are one and the same object.
        """
        key = (client.tag_sets, service)
        if key not in self._leads:
            found = self._led(client, spec, service)
            self._leads[key] = self._same.setdefault(found, found)
        return self._leads[key]

    def _led(self, client: Traits, spec: DataplaneSpec, service: str) -> Lead:
        try:
            shares = route(
                self._routes, service, lambda policy: self._resolve(policy, client.tag_sets, spec, service)
            )
        except Exception as error:  # noqa: BLE001 - a plugin's code; the map says that it failed
            text = f"a route cannot be followed: {type(error).__name__}: {error}"
            self.problems[text] = None
            return Lead((), problem=text)
        others = self._found(self._followers, client, service)
        for led in {item.service for item in shares}:
            others += self._found(self._led_by, client, led)
        return Lead(shares, tuple(self._found(self._routes, client, service)), tuple(sorted(set(others))))

    def _found(self, policies: tuple[Policy, ...], client: Traits, service: str) -> list[Applied]:
        return [
            Applied(policy.kind, match.name)
            for policy in policies
            for match in self._stored.matches(policy, client.tag_sets, service)
        ]

    def _resolve(
        self,
        policy: Policy,
        tag_sets: tuple[TagPairs, ...],
        spec: DataplaneSpec,
        service: str,
        tags: TagPairs = (),
    ) -> Hashable | None:
        matches = self._stored.matches(policy, tag_sets, service, tags)
        if not matches:
            return None
        return policy.resolve(
            matches, Subject(spec, self._name, self.mesh, service, tags, {}, self._resources)
        )

    def lets_in(self, services: tuple[str, ...], tags: TagPairs, spec: DataplaneSpec) -> tuple[Applied, ...]:
        """The policies that let a client with these services in at an inbound with these tags, of the dataplane
        ``spec``. In a mesh without encryption nobody asks them."""
        key = (services, tags)
        if key not in self._entries:
            if services not in self._ids:
                self._ids[services] = provable(self._name, services)
            ids = self._ids[services]
            found = tuple(name for door in self._doors_of(tags, spec) for name in self._open(door, ids))
            self._entries[key] = found
        return self._entries[key]

    def _doors_of(self, tags: TagPairs, spec: DataplaneSpec) -> tuple[_Door, ...]:
        if tags not in self._doors:
            self._doors[tags] = tuple(self._made_doors(tags, spec))
        return self._doors[tags]

    def _made_doors(self, tags: TagPairs, spec: DataplaneSpec) -> Iterable[_Door]:
        for policy in self._doorkeepers:
            if policy.admits is None:
                continue
            try:
                conf = self._resolve(policy, (), spec, "", tags)
            except Exception as error:  # noqa: BLE001 - a plugin's code; without it the door stays shut
                self.problems[f"{policy.kind} cannot be asked: {type(error).__name__}: {error}"] = None
                continue
            if conf is not None:
                yield _Door(policy, conf)

    def _open(self, door: _Door, ids: tuple[str, ...]) -> tuple[Applied, ...]:
        kind = door.policy.kind
        assert door.policy.admits is not None
        try:
            return tuple(Applied(kind, name) for name in door.policy.admits(door.conf, ids))
        except Exception as error:  # noqa: BLE001 - a plugin's code; without it the door stays shut
            self.problems[f"{kind} cannot be asked: {type(error).__name__}: {error}"] = None
            return ()
