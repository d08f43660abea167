"""The map of a mesh as data: what a frozen view says, with the status of each proxy as it is now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from kuma_core.builtin.services.decisions import Applied, Lead
from kuma_core.builtin.services.edges import ALLOWED, DENIED, PARTLY, PLAINTEXT, Edge, Flow, Share
from kuma_core.builtin.services.parties import Traits
from kuma_core.specs.dataplane import SERVICE
from kuma_core.specs.proxy_status import ProxyState
from kuma_core.specs.tags import TagPairs

NO_ENDPOINT, UNKNOWN = "noEndpoint", "unknown"
"""Verdicts beside those of ``edges``: no healthy instance is there; a policy failed, so that nobody can say."""

ONLINE, DEGRADED, OFFLINE, NEVER = (
    ProxyState.ONLINE.value,
    ProxyState.DEGRADED.value,
    ProxyState.OFFLINE.value,
    ProxyState.NEVER_CONNECTED.value,
)
SERVING = (ONLINE, DEGRADED)
"""A proxy that refused something goes on with what it had."""

COUNTED = {"online": ONLINE, "degraded": DEGRADED, "offline": OFFLINE, "neverConnected": NEVER}
"""How a node names the counts of its instances."""

MANY_VALUES = 20
"""How many values of a tag a node tells."""

Statuses = Mapping[str, str]
"""The status of a mesh's proxies by dataplane; one that is not in it never connected."""

ABSENT = "Absent"
"""Stands in the place of a status: the proxy is connected, and its instance does not serve."""


def called_ones(statuses: Statuses, absent: Collection[str]) -> Statuses:
    """The statuses as they matter to callers: who does not serve gets no calls, however well the proxy is."""
    away = {name: ABSENT for name in absent if statuses.get(name, NEVER) in SERVING}
    return {**statuses, **away} if away else statuses


def nodes(traits: Mapping[str, Traits], edges: Iterable[Edge], statuses: Statuses) -> list[dict[str, Any]]:
    """Every service with an instance, and as ghosts those that somebody calls and nobody offers, by name."""
    members: dict[str, list[str]] = defaultdict(list)
    for name, item in traits.items():
        for service in item.services:
            members[service].append(name)
    called = {service for edge in edges for service in _called(edge)}
    return [
        _node(service, members.get(service, []), traits, statuses) for service in sorted({*members, *called})
    ]


def _called(edge: Edge) -> Iterator[str]:
    yield edge.destination
    for flow in edge.flows:
        yield from (share.destination.service for share in flow.shares)


def _node(service: str, names: list[str], traits: Mapping[str, Traits], statuses: Statuses) -> dict[str, Any]:
    counted = Counter(statuses.get(name, NEVER) for name in names)
    return {
        "name": service,
        "isGhost": not names,
        "isGateway": bool(names) and all(traits[name].is_gateway for name in names),
        "instances": {"total": len(names), **{key: counted[word] for key, word in COUNTED.items()}},
        "tags": _values(service, (tags for name in names for tags in traits[name].tag_sets)),
    }


def _values(service: str, tag_sets: Iterable[TagPairs]) -> dict[str, list[str]]:
    """What values the other tags of a service's instances have."""
    found: dict[str, set[str]] = defaultdict(set)
    for tags in set(tag_sets):
        if (SERVICE, service) in tags:
            for key, value in tags:
                found[key].add(value)
    found.pop(SERVICE, None)
    return {key: sorted(found[key])[:MANY_VALUES] for key in sorted(found)}


def edge(item: Edge, statuses: Statuses, absent: Collection[str] = ()) -> dict[str, Any]:
    """An edge with its verdict, why it is so, who follows the calls, and how they are split.

    ``absent`` are the dataplanes that do not serve.
    """
    called = called_ones(statuses, absent)
    verdict, reason = judged(item, called)
    permitted = [{"kind": kind, "name": name} for kind, name in item.let_in]
    others = sorted({found for flow in item.flows for found in flow.lead.others})
    endpoints = _instances([share for flow in item.flows for share in flow.shares], called)
    return {
        "source": item.source,
        "destination": item.destination,
        "verdict": verdict,
        "access": item.access,
        "reason": reason,
        "clients": _count(item.clients, statuses),
        "endpoints": endpoints,
        "permittedBy": permitted,
        "followedBy": [{"kind": kind, "name": name} for kind, name in others],
        "flows": [_flow(flow, called) for flow in item.flows],
    }


def _flow(flow: Flow, statuses: Statuses) -> dict[str, Any]:
    return {
        "clients": len(flow.clients),
        "client": flow.clients[0],
        "routedBy": [{"kind": kind, "name": name} for kind, name in flow.lead.routes],
        "shares": [_share(share, flow.lead, statuses) for share in flow.shares],
    }


def _share(share: Share, lead: Lead, statuses: Statuses) -> dict[str, Any]:
    return {
        "tags": dict(share.destination.tags),
        "weight": share.destination.weight,
        "share": round(share.destination.weight / lead.weight, 4),
        "endpoints": _instances([share], statuses),
        "instance": next((name for group in share.groups for name in group.names), ""),
    }


def _instances(shares: Iterable[Share], statuses: Statuses) -> dict[str, int]:
    return _count({name for share in shares for group in share.groups for name in group.names}, statuses)


def _count(names: Iterable[str], statuses: Statuses) -> dict[str, int]:
    names = list(names)
    return {"total": len(names), "healthy": sum(1 for name in names if statuses.get(name, NEVER) in SERVING)}


def judged(item: Edge, statuses: Statuses) -> tuple[str, str]:
    """The verdict on an edge, and a sentence that says why."""
    problem = next((flow.lead.problem for flow in item.flows if flow.lead.problem), "")
    if problem:
        return UNKNOWN, problem
    shares = [share for flow in item.flows for share in flow.shares]
    lost = [share for share in shares if not _instances([share], statuses)["healthy"]]
    empty = [flow.lead.routes for flow in item.flows if not flow.lead.weight]
    if len(lost) == len(shares):
        return NO_ENDPOINT, _nobody(item, lost, empty, statuses)
    return item.access, _why(item) + _partly_lost(lost, empty)


def _nobody(item: Edge, lost: list[Share], empty: list[tuple[Applied, ...]], statuses: Statuses) -> str:
    if not lost:
        return f"{_named(empty[0])} gives nobody a share"
    names = [name for share in lost for group in share.groups for name in group.names]
    if any(statuses.get(name) == ABSENT for name in names):
        return f'no instance of "{item.destination}" serves: those that are connected are joining or leaving'
    if names:
        return f'every proxy of "{item.destination}" is away'
    wanted = sorted({_text(share.destination.tags) for share in lost})
    return f"no dataplane offers {' or '.join(wanted)}"


def _partly_lost(lost: list[Share], empty: list[tuple[Applied, ...]]) -> str:
    told = f"; {_named(empty[0])} gives some clients no share" if empty else ""
    if lost:
        told += f"; nobody healthy is behind {', '.join(sorted({_text(share.destination.tags) for share in lost}))}"
    return told


def _why(item: Edge) -> str:
    words = {
        PLAINTEXT: "the mesh has mTLS off, so that everybody may call in plain text",
        ALLOWED: f"{_named(item.let_in)} lets them in" if item.let_in else "",
        DENIED: f'the mesh has mTLS on, and no policy lets "{item.source}" in at "{item.destination}"',
        PARTLY: f"{_named(item.let_in)} lets in at {item.allowed} of {item.pairs} kinds of client and instance",
    }
    return words[item.access]


def _named(found: Iterable[Applied]) -> str:
    return ", ".join(f'{kind} "{name}"' for kind, name in found) or "the route"


def _text(tags: TagPairs) -> str:
    others = ",".join(f"{key}={value}" for key, value in tags if key != SERVICE)
    return f'"{dict(tags)[SERVICE]}"' + (f" with {others}" if others else "")
