"""Which connections a filter chain is for: no two chains of a listener may be for the same ones."""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import product
from math import prod
from typing import Any

from kuma_policy_traffic.proxy_template.addresses import is_ip

LARGEST = 10_000
"""How many combinations of criteria are looked at for a chain; whoever has more is judged by Envoy alone."""


def chain_problems(chains: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """What speaks against the matches of a listener's chains."""
    earlier: dict[Hashable, int] = {}
    for index, chain in enumerate(chains):
        match, field = chain.filter_chain_match, f"filter_chains[{index}].filter_chain_match"
        for place, name in enumerate(match.server_names if match else ()):
            if "*" in name and (not name.startswith("*.") or "*" in name[1:]):
                text = "partial wildcards are not supported; write *.example.com"
                yield f"{field}.server_names[{place}]", text
        for combination in _combinations(match):
            before = earlier.setdefault(combination, index)
            if before != index:
                yield field, f"matches what filter_chains[{before}] matches already"
                return
        if _says_twice(match):
            yield field, "says the same thing twice"


def _combinations(match: Any) -> Iterable[Hashable]:
    """Every single criterion that a match stands for, as Envoy expands it."""
    if match is None:
        return [((), (), (), (), (), (), (), ())]
    lists = (
        [match.destination_port],
        _ranges(match.prefix_ranges),
        [name.lower() for name in match.server_names] or [()],
        [match.transport_protocol or ()],
        list(match.application_protocols) or [()],
        [match.source_type or ()],
        _ranges(match.source_prefix_ranges),
        list(match.source_ports) or [()],
    )
    if prod(map(len, lists)) > LARGEST:
        return []
    return [tuple(() if item is None else item for item in combination) for combination in product(*lists)]


def _says_twice(match: Any) -> bool:
    found = list(_combinations(match))
    return len(set(found)) < len(found)


def _ranges(ranges: Iterable[Any]) -> Sequence[Hashable]:
    """Networks in one form; none is every address."""
    return [_network(item) for item in ranges if is_ip(item.address_prefix)] or [()]


def _network(span: Any) -> str:
    address = ipaddress.ip_address(span.address_prefix)
    length = min(span.prefix_len or 0, address.max_prefixlen)
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))
