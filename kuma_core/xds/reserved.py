"""The name that no resource may have: for the protocol ``*`` means all resources of a type.

An Envoy that asks for a cluster's endpoints under that name has asked for everybody's, and refuses them all.
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.config.listener.v3 import FilterChain, Listener
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
)
from envoy_data_plane.message_pool import default_message_pool

from kuma_core.xds.drafts import ListenerDraft, Live

RESERVED = "*"


class ReservedName(ValueError):
    """A resource has the reserved name, or asks for one that has it; the text names the field."""


def check_names(name: str, live: Live) -> None:
    """Raise ``ReservedName`` if a resource is called ``*``, or has Envoy ask for another that is."""
    for field, found in (*_names(live), ("name", name)):
        if found == RESERVED:
            raise ReservedName(f'{field}: "{RESERVED}" is no name, for to Envoy it means all resources')


def _names(live: Live) -> Iterator[tuple[str, str]]:
    """Every name by which Envoy knows the resource, or asks for another one, with its field."""
    if isinstance(live, ListenerDraft):
        yield from _names(live.message)
        yield from _routes(item.config for item in live.filters)
    elif isinstance(live, ClusterLoadAssignment):
        yield "cluster_name", live.cluster_name
    else:
        yield "name", getattr(live, "name", "")
    if isinstance(live, Cluster) and live.eds_cluster_config:
        yield "eds_cluster_config.service_name", live.eds_cluster_config.service_name
    if isinstance(live, Listener):
        yield from _routes(_managers(live))


def _managers(listener: Listener) -> Iterator[HttpConnectionManager]:
    """The HTTP connection managers that are packed already."""
    chains: list[FilterChain] = [*listener.filter_chains]
    if listener.default_filter_chain:
        chains.append(listener.default_filter_chain)
    for packed in (item.typed_config for chain in chains for item in chain.filters):
        if packed and packed.type_url == _MANAGER:
            yield HttpConnectionManager.parse(packed.value)


def _routes(configs: Iterator[object]) -> Iterator[tuple[str, str]]:
    for config in configs:
        if isinstance(config, HttpConnectionManager) and config.rds:
            yield "rds.route_config_name", config.rds.route_config_name


_MANAGER = default_message_pool.type_to_url[HttpConnectionManager]
