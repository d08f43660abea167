"""Which requests a virtual host is for: no domain may be that of two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def weight_problems(weighted: Any) -> Iterator[tuple[str, str]]:
    """What speaks against the shares of clusters in a route."""
    for index, share in enumerate(weighted.clusters):
        if share.weight is None:
            yield f"clusters[{index}].weight", "is missing"
    total = sum(share.weight or 0 for share in weighted.clusters)
    if not 0 < total < 2**32:
        yield "clusters", f"the sum of weights has to be greater than 0 and of 32 bits; it is {total}"


def route_problems(table: Any) -> Iterator[tuple[str, str]]:
    """What speaks against the virtual hosts of a route configuration."""
    domains: dict[str, str] = {}
    for index, host in enumerate(table.virtual_hosts):
        for place, domain in enumerate(host.domains):
            where = f"virtual_hosts[{index}].domains[{place}]"
            if domain.lower() in domains:
                yield where, f"is a domain of {domains[domain.lower()]}, too"
            domains.setdefault(domain.lower(), where)
