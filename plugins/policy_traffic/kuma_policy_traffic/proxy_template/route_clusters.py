"""The clusters that routes lead to, where Envoy takes a table of routes only if it knows all of them.

It asks so (``validate_clusters``) for every table that stands in a listener, unless that says ``false``, and for those
that stand alone if they say ``true``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kuma_core.sdk import Severity, Violation
from kuma_core.sdk.envoy import default_message_pool
from kuma_policy_traffic.proxy_template.convert import NativeResource
from kuma_policy_traffic.proxy_template.messages import PREFIX

_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_CLUSTER = f"{PREFIX}envoy.config.cluster.v3.Cluster"
_LISTENER = f"{PREFIX}envoy.config.listener.v3.Listener"
_ROUTES = f"{PREFIX}envoy.config.route.v3.RouteConfiguration"
MOST_NAMED = 5


def lacking_clusters(resources: Iterable[tuple[str, NativeResource]]) -> Iterator[Violation]:
    """A warning for each resource, with its path, that Envoy refuses unless something else brings a cluster.

    It cannot be more: what else a proxy has is known for each proxy alone.
    """
    resources = list(resources)
    brought = {item.name for _, item in resources if item.type_url == _CLUSTER}
    for path, item in resources:
        lacking = sorted({name for table in _strict_tables(item) for name in _clusters(table)} - brought)
        if lacking:
            named = ", ".join(f'"{name:.100}"' for name in lacking[:MOST_NAMED])
            more = f" and {len(lacking) - MOST_NAMED} others" if len(lacking) > MOST_NAMED else ""
            yield Violation(
                f"{path}.resource",
                f"routes lead to {named}{more}, which this template does not bring: a proxy that has no such cluster "
                "refuses the resource. Bring the cluster, or set validate_clusters to false in the table of routes",
                Severity.WARNING,
            )


def _strict_tables(item: NativeResource) -> Iterator[Any]:
    """The tables of routes in a resource whose clusters have to exist."""
    message: Any = item.message
    if item.type_url == _ROUTES and message.validate_clusters:
        yield message
    if item.type_url != _LISTENER:
        return
    chains = [
        *message.filter_chains,
        *([message.default_filter_chain] if message.default_filter_chain else []),
    ]
    for packed in (part.typed_config for chain in chains for part in chain.filters):
        if packed and packed.type_url == PREFIX + _MANAGER:
            table = default_message_pool.url_to_type[packed.type_url]().parse(packed.value).route_config
            if table and table.validate_clusters is not False:
                yield table


def _clusters(table: Any) -> Iterator[str]:
    for action in (route.route for host in table.virtual_hosts for route in host.routes):
        if action:
            yield from filter(None, [action.cluster])
            yield from (
                share.name
                for share in (action.weighted_clusters.clusters if action.weighted_clusters else ())
            )
