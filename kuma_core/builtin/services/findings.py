"""What an operator should look at in a mesh: each finding says what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kuma_core.builtin.services.decisions import Applied
from kuma_core.builtin.services.mesh_map import MeshMap
from kuma_core.builtin.services.picture import NEVER, SERVING, Statuses
from kuma_core.builtin.services.reach import Reach
from kuma_core.policy.contract import Policy, Scope

INFO, WARNING, ERROR = "info", "warning", "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. ``id`` is its line in ``docs/reference/findings.md``, ``kind`` and ``name`` say where."""

    id: str
    level: str
    kind: str
    name: str
    text: str
    advice: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What findings are looked for in: the map, the policies' code, the proxies' statuses."""

    map: MeshMap
    policies: tuple[Policy, ...]
    statuses: Statuses

    @property
    def mesh(self) -> str:
        """The name of the mesh."""
        return self.map.context.name


Search = Callable[[Sight], Iterable[Finding]]


def nothing_permitted(sight: Sight) -> Iterator[Finding]:
    """mTLS is on, and no policy lets anybody in."""
    mesh = sight.map.context.mesh
    doors = [policy.kind for policy in sight.policies if policy.admits]
    if mesh and mesh.is_encrypted() and not any(sight.map.stored.index(kind).entries for kind in doors):
        yield Finding(
            "mtls-without-permission",
            WARNING,
            "Mesh",
            sight.mesh,
            "mTLS is on, and nothing permits any connection: every call between services is refused",
            f"apply a {doors[0]}"
            if doors
            else "install a plugin that brings permissions, such as policy_traffic",
        )


def idle_policies(sight: Sight) -> Iterator[Finding]:
    """A policy matches no connection, no inbound or no proxy, or matches and always loses against others."""
    reach = Reach(sight.map.traits)
    for policy in sight.policies:
        for name, entry in sight.map.stored.index(policy.kind).entries.items():
            if Applied(policy.kind, name) in sight.map.applied or reach.governs(
                policy, entry, sight.map.stored
            ):
                continue
            if reach.touches(policy, entry.ends):
                yield Finding(
                    "policy-never-wins",
                    INFO,
                    policy.kind,
                    name,
                    "it matches, and another one of its kind wins everywhere",
                    "see `kumactl explain SOURCE DESTINATION`; delete it, or make its selectors more specific",
                )
            else:
                yield Finding(
                    "policy-matches-nothing",
                    WARNING,
                    policy.kind,
                    name,
                    f"its selectors match no {_WHAT[policy.scope]} of this mesh",
                    "compare its tags with those of the dataplanes (`kumactl inspect dataplanes`)",
                )


_WHAT = {
    Scope.ROUTE: "connection",
    Scope.OUTBOUND: "connection",
    Scope.DESTINATION: "connection",
    Scope.INBOUND: "inbound",
    Scope.PROXY: "proxy",
}


def empty_routes(sight: Sight) -> Iterator[Finding]:
    """A route in force gives nobody a share, or gives one to tags that no instance has."""
    told: set[tuple[str, str]] = set()
    for edge in sight.map.edges:
        for flow in edge.flows:
            for kind, name in flow.lead.routes:
                lost = [share for share in flow.shares if not share.groups]
                if (flow.lead.weight and not lost) or (kind, name) in told:
                    continue
                told.add((kind, name))
                gone = ", ".join(",".join(f"{k}={v}" for k, v in share.destination.tags) for share in lost)
                yield Finding(
                    "route-without-share",
                    WARNING,
                    kind,
                    name,
                    f'calls of "{edge.source}" to "{edge.destination}" '
                    + (f"have a share for {gone}, which no instance has" if lost else "have no share at all"),
                    "give a weight above 0 to a destination whose tags an instance has",
                )


def unknown_services(sight: Sight) -> Iterator[Finding]:
    """A dataplane calls a service that nobody offers."""
    offered = _offered(sight)
    for edge in sight.map.edges:
        if edge.destination not in offered:
            clients = edge.clients
            yield Finding(
                "outbound-to-unknown-service",
                WARNING,
                "Dataplane",
                clients[0],
                f'{len(clients)} of "{edge.source}" call "{edge.destination}", which no dataplane offers',
                "correct the name of the outbound's service, or start an instance of it",
            )


def _offered(sight: Sight) -> Mapping[str, list[str]]:
    """The dataplanes of each service, those that do not serve as well."""
    found: dict[str, list[str]] = defaultdict(list)
    for offers in (sight.map.context.offers, sight.map.context.absent_offers()):
        for service, names in offers.items():
            found[service].extend(names)
    return found


def unhealthy_services(sight: Sight) -> Iterator[Finding]:
    """A service has instances, and no proxy of them is connected, or none of those serves."""
    for service, names in sorted(_offered(sight).items()):
        connected = [name for name in names if sight.statuses.get(name, NEVER) in SERVING]
        if not connected:
            yield Finding(
                "service-without-healthy-instance",
                ERROR,
                "Service",
                service,
                f"none of its {len(names)} proxies is connected",
                "look at kuma-dp on these machines: " + ", ".join(sorted(names)[:5]),
            )
        elif sight.map.context.absent.issuperset(connected):
            yield Finding(
                "service-without-serving-instance",
                ERROR,
                "Service",
                service,
                f"{len(connected)} of its proxies are connected, and none of their instances serves",
                "`kumactl inspect dataplanes` says why; look at kuma-dp, or at the Pods, of these: "
                + ", ".join(sorted(connected)[:5]),
            )


def failed_policies(sight: Sight) -> Iterator[Finding]:
    """The code of a policy fails, so that proxies keep what they had."""
    for problem in sight.map.problems:
        yield Finding(
            "policy-fails",
            ERROR,
            "Mesh",
            sight.mesh,
            problem,
            "change the resource, or ask the author of the plugin; `kumactl inspect xds NAME` shows what a proxy has",
        )


SEARCHES: tuple[Search, ...] = (
    nothing_permitted,
    failed_policies,
    unhealthy_services,
    unknown_services,
    empty_routes,
    idle_policies,
)

_ORDER: Mapping[str, int] = {ERROR: 0, WARNING: 1, INFO: 2}


def as_document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON data."""
    return {
        "id": finding.id,
        "level": finding.level,
        "subject": {"kind": finding.kind, "name": finding.name},
        "text": finding.text,
        "advice": finding.advice,
    }


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """The worst first, then by what it is and where."""
    return sorted(found, key=lambda item: (_ORDER[item.level], item.id, item.kind, item.name))
