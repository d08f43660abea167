"""A policy resource as data: its selectors, where it applies and where not, and which proxies have taken it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kuma_core.builtin.services.influence import Influence, Influences, Place
from kuma_core.builtin.services.lag import LagOf
from kuma_core.builtin.services.picture import NEVER, SERVING, Statuses
from kuma_core.policy.contract import Policy, Scope
from kuma_core.policy.matching import Entry
from kuma_core.specs.tags import TagPairs

MOST_PLACES = 500
"""How many connections one answer lists, and how many proxies; ``total`` counts all."""

APPLIES, NEVER_WINS, MATCHES_NOTHING, FAILS = "applies", "neverWins", "matchesNothing", "fails"
"""What became of a resource. One that fails is of a plugin whose code cannot say to whom it applies."""


def summary(found: Influences, policy: Policy, name: str) -> dict[str, Any]:
    """One resource in a list."""
    entry = found.map.stored.index(policy.kind).entries.get(name)
    if entry is None:
        reason = found.map.stored.unplaced(policy.kind).get(name, "")
        return {"name": name, "state": FAILS, "reason": reason}
    return _summary(found, policy, entry, found.of(policy, entry))


def _summary(found: Influences, policy: Policy, entry: Entry, did: Influence) -> dict[str, Any]:
    return {
        "name": entry.name,
        "state": _state(did),
        "sources": _selectors(entry.ends.sources),
        "destinations": _selectors(entry.ends.destinations),
        "connections": len(_connections(found, policy, entry, did)),
        "losesAt": len(did.lost),
        "proxies": len(did.proxies),
    }


def detail(found: Influences, policy: Policy, name: str, statuses: Statuses, lag: LagOf) -> dict[str, Any]:
    """One resource with all that is known of it."""
    whole = {"kind": policy.kind, "scope": policy.scope.value}
    entry = found.map.stored.index(policy.kind).entries.get(name)
    if entry is None:
        return {**whole, **summary(found, policy, name)}
    did = found.of(policy, entry)
    inbounds = did.won.items() if policy.scope is Scope.INBOUND else ()
    return {
        **whole,
        **_summary(found, policy, entry, did),
        "connections": _some(_connections(found, policy, entry, did)),
        "inbounds": _some(
            [{"service": place.destination, "dataplanes": len(who)} for place, who in inbounds]
        ),
        "losesAt": _some([_lost(place, who) for place, who in sorted(did.lost.items())]),
        "proxies": _proxies(sorted(did.proxies), statuses, lag),
    }


def _state(did: Influence) -> str:
    return APPLIES if did.won else NEVER_WINS if did.lost else MATCHES_NOTHING


def _selectors(ends: Iterable[TagPairs]) -> list[dict[str, str]]:
    return [dict(tags) for tags in ends]


def _connections(found: Influences, policy: Policy, entry: Entry, did: Influence) -> list[dict[str, Any]]:
    """The connections that it acts on: of a policy of inbounds those that it lets in, of one of proxies none."""
    if policy.scope is Scope.PROXY:
        return []
    if policy.scope is Scope.INBOUND:
        return [_ends(place) for place in found.let_in(policy.kind, entry.name)]
    return [{**_ends(place), "clients": len(who)} for place, who in sorted(did.won.items())]


def _ends(place: Place) -> dict[str, Any]:
    return {"source": place.source, "destination": place.destination}


def _lost(place: Place, who: set[str]) -> dict[str, Any]:
    return {**_ends(place), "clients": len(who), "against": place.winner, "reason": place.reason}


def _some(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"total": len(items), "items": items[:MOST_PLACES]}


def _proxies(names: list[str], statuses: Statuses, lag: LagOf) -> dict[str, Any]:
    """Who has taken it: those first who have not."""
    told = [_proxy(name, statuses.get(name, NEVER), lag(name)) for name in names]
    taken = sum(1 for item in told if item["taken"])
    return {"taken": taken, **_some(sorted(told, key=lambda item: item["taken"]))}


def _proxy(name: str, status: str, why: str) -> dict[str, Any]:
    reason = why if status in SERVING else "it takes it when it connects"
    return {"dataplane": name, "status": status, "taken": not reason, "reason": reason}
