"""A third party's generator, used by tests that need clusters which change, fail, or are refused.

A Dataplane asks for it with tags of its first inbound or its gateway: ``timeout`` sets the connect timeout of its
outbound clusters, ``refused`` adds a cluster that Envoy refuses, ``failing`` makes the generator raise,
``invalid`` makes it draft a message of wrong types, ``target`` sends its outbounds to another service, ``routed``
does so with HTTP listeners whose routes come over ADS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from kuma_core.sdk import Draft, Generator, hookimpl
from kuma_core.sdk.envoy import (
    Address,
    Cluster,
    ClusterDiscoveryType,
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
    ProxyView,
    SocketAddress,
)
from kuma_core.testing.routed import RoutedListener, Routes, build_routed_listener, build_routes
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from kuma_core.xds.generators import outbound


@hookimpl
def kuma_register_generators() -> Iterable[Generator]:
    return [Generator("tuning", 450, generate)]


@dataclass(frozen=True, slots=True)
class Tuned:
    service: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Named:
    name: str


def generate(view: ProxyView) -> Iterator[Draft]:
    tags = dict(next(iter(view.dataplane.tag_sets())))
    if "failing" in tags:
        raise RuntimeError(f"asked to fail: {tags['failing']}")
    for item in view.dataplane.networking.outbound:
        if "timeout" in tags:
            inputs = Tuned(item.service, int(tags["timeout"]))
            yield Draft(CLUSTER, item.service, inputs, build_tuned)
        if "target" in tags:
            yield from _redirect(view, item, tags["target"])
        if "routed" in tags:
            yield from _route(view, item, tags["routed"])
    if "refused" in tags:
        yield Draft(CLUSTER, "refused", Named(tags["refused"]), build_refused)
    if "invalid" in tags:
        yield Draft(CLUSTER, "invalid", Named("invalid"), build_invalid)


def _redirect(view: ProxyView, item, target: str) -> Iterator[Draft]:
    address = item.address
    listener = outbound.OutboundListener(address.ip, address.port, item.service, ((target, 1),))
    found = outbound.ServiceEndpoints(target, view.endpoints({"service": target}))
    yield Draft(CLUSTER, target, outbound.ServiceCluster(target), outbound.build_service_cluster)
    yield Draft(ENDPOINTS, target, found, outbound.build_service_endpoints)
    yield Draft(LISTENER, listener.name, listener, outbound.build_outbound_listener)


def _route(view: ProxyView, item, target: str) -> Iterator[Draft]:
    """The listener of the outbound stays as it is, whatever its routes lead to."""
    name = f"outbound:{item.address.ip}:{item.address.port}"
    found = outbound.ServiceEndpoints(target, view.endpoints({"service": target}))
    yield Draft(CLUSTER, target, outbound.ServiceCluster(target), outbound.build_service_cluster)
    yield Draft(ENDPOINTS, target, found, outbound.build_service_endpoints)
    listener = RoutedListener(name, item.address.ip, item.address.port, name)
    yield Draft(LISTENER, name, listener, build_routed_listener)
    yield Draft(ROUTES, name, Routes(name, target), build_routes)


def build_tuned(inputs: Tuned) -> Cluster:
    cluster = outbound.build_service_cluster(outbound.ServiceCluster(inputs.service))
    cluster.connect_timeout = timedelta(seconds=inputs.seconds)
    return cluster


def build_refused(inputs: Named) -> Cluster:
    """A static cluster must hold IP addresses; with a host name Envoy refuses it."""
    address = Address(socket_address=SocketAddress(address=f"{inputs.name}.invalid", port_value=1))
    return Cluster(
        name="refused",
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=timedelta(seconds=5),
        load_assignment=ClusterLoadAssignment(
            cluster_name="refused",
            endpoints=[LocalityLbEndpoints(lb_endpoints=[LbEndpoint(endpoint=Endpoint(address=address))])],
        ),
    )


def build_invalid(inputs: Named) -> Cluster:
    cluster = Cluster(name=inputs.name)
    cluster.connect_timeout = "soon"
    return cluster
