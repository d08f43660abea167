"""Inbounds: a listener where others reach the service, and the cluster of the service itself (2.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)

from kuma_core.specs.interfaces import LOOPBACK
from kuma_core.xds.contract import CLUSTER, LISTENER, Draft
from kuma_core.xds.drafts import ListenerDraft
from kuma_core.xds.generators.common import CONNECT_TIMEOUT_SECONDS, socket_address, tcp_listener
from kuma_core.xds.view import ProxyView


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """What the cluster of a local service depends on."""

    port: int

    @property
    def name(self) -> str:
        """``localhost:<workload port>``."""
        return f"localhost:{self.port}"


@dataclass(frozen=True, slots=True)
class InboundListener:
    """What an inbound listener depends on."""

    ip: str
    port: int
    cluster: str

    @property
    def name(self) -> str:
        """``inbound:<ip>:<port>``."""
        return f"inbound:{self.ip}:{self.port}"


def generate_inbound(view: ProxyView) -> Iterable[Draft]:
    """A listener and a local cluster for every inbound; inbounds with one workload port share the cluster."""
    for inbound in view.dataplane.networking.inbound:
        address = inbound.address
        local = LocalCluster(address.workload_port)
        listener = InboundListener(address.ip, address.port, local.name)
        yield Draft(CLUSTER, local.name, local, build_local_cluster)
        edits = view.inbound_edits(inbound.tags)
        yield Draft(LISTENER, listener.name, listener, build_inbound_listener, edits)


def build_local_cluster(inputs: LocalCluster) -> Cluster:
    """A static cluster with one endpoint, the service on loopback."""
    endpoint = LbEndpoint(endpoint=Endpoint(address=socket_address(LOOPBACK, inputs.port)))
    return Cluster(
        name=inputs.name,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=timedelta(seconds=CONNECT_TIMEOUT_SECONDS),
        load_assignment=ClusterLoadAssignment(
            cluster_name=inputs.name, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
    )


def build_inbound_listener(inputs: InboundListener) -> ListenerDraft:
    """A TCP listener that hands every connection to the local service."""
    shares = ((inputs.cluster, 1),)
    return tcp_listener(inputs.name, inputs.ip, inputs.port, shares, stat_prefix=inputs.cluster)
