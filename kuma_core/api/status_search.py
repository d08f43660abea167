"""How overviews are searched and sorted beside their tags: by the status of their proxies, by their certificates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from kuma_core.api.searching import Matches, Searchable, Words
from kuma_core.api.tag_search import DATAPLANES
from kuma_core.model import Resource
from kuma_core.resources.contract import Listed
from kuma_core.specs.proxy_status import ProxyState, status_of

STATUS, CERTIFICATE = "status", "certificate"
_NEVER = datetime.max.replace(tzinfo=UTC)
"""Those without a certificate come behind all others."""
WORDS = {state.value.lower().replace(" ", "-"): state.value for state in ProxyState}
"""The states as one word each, as ``q`` has them."""

_TROUBLE = (ProxyState.DEGRADED, ProxyState.OFFLINE, ProxyState.NEVER_CONNECTED, ProxyState.ONLINE)
_RANKS = {state.value: rank for rank, state in enumerate(_TROUBLE)}


def overviews(insights: Listed) -> Searchable:
    """What overviews can be searched and sorted by; the status comes from the insights of the same mesh.

    Sorted by status, those with the most trouble come first; sorted by certificate, those whose ends soonest.
    """

    def state(dataplane: Resource) -> str:
        insight = insights.named(dataplane.name)
        return status_of(insight.spec if insight else None).state

    def end(dataplane: Resource) -> datetime:
        insight = insights.named(dataplane.name)
        certificates = insight.spec.certificates if insight else None
        return certificates.ends or _NEVER if certificates else _NEVER

    words = (*DATAPLANES.words, Words((STATUS,), lambda asked: _matcher(asked, state)))
    orders = {STATUS: lambda dataplane: _RANKS[state(dataplane)], CERTIFICATE: end}
    return Searchable(words, {**DATAPLANES.orders, **orders})


def _matcher(asked: Sequence[tuple[str, str]], state: Callable[[Resource], str]) -> Matches:
    wanted = [_states(value) for _, value in asked]
    return lambda dataplane: all(state(dataplane) in one for one in wanted)


def _states(value: str) -> frozenset[str]:
    words = value.lower().split(",")
    if not set(words) <= WORDS.keys():
        raise ValueError(f'expected "status:" with {", ".join(WORDS)}, got "{value:.40}"')
    return frozenset(WORDS[word] for word in words)
