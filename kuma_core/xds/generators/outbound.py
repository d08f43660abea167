"""Outbounds: a listener where the service calls another one, that one's cluster and its endpoints (2.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
)
from envoy_data_plane.envoy.config.core.v3 import (
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
    Metadata,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.google.protobuf import Struct, Value

from kuma_core.mesh import topology
from kuma_core.specs.dataplane import SERVICE
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, Draft, ProxyView
from kuma_core.xds.drafts import ListenerDraft
from kuma_core.xds.generators.common import CONNECT_TIMEOUT_SECONDS, socket_address, tcp_listener

LB_METADATA = "envoy.lb"


@dataclass(frozen=True, slots=True)
class ServiceCluster:
    """What the cluster of another service depends on."""

    name: str


@dataclass(frozen=True, slots=True)
class ServiceEndpoints:
    """What the endpoints of another service depend on."""

    cluster: str
    found: topology.EndpointSet


@dataclass(frozen=True, slots=True)
class OutboundListener:
    """What an outbound listener depends on."""

    ip: str
    port: int
    service: str
    cluster: str

    @property
    def name(self) -> str:
        """``outbound:<ip>:<port>``."""
        return f"outbound:{self.ip}:{self.port}"


def generate_outbound(view: ProxyView) -> Iterable[Draft]:
    """For every outbound a listener, and for every service behind them one cluster and its endpoints.

    Without a route the destination is the outbound's service itself, whatever the other tags.
    """
    for outbound in view.dataplane.networking.outbound:
        address, service = outbound.address, outbound.service
        listener = OutboundListener(address.ip, address.port, service, service)
        found = ServiceEndpoints(service, view.endpoints({SERVICE: service}))
        yield Draft(CLUSTER, service, ServiceCluster(service), build_service_cluster)
        yield Draft(ENDPOINTS, service, found, build_service_endpoints)
        yield Draft(LISTENER, listener.name, listener, build_outbound_listener)


def build_service_cluster(inputs: ServiceCluster) -> Cluster:
    """A cluster whose endpoints come over ADS."""
    source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
    return Cluster(
        name=inputs.name,
        type=ClusterDiscoveryType.EDS,
        connect_timeout=timedelta(seconds=CONNECT_TIMEOUT_SECONDS),
        eds_cluster_config=ClusterEdsClusterConfig(eds_config=source),
    )


def build_service_endpoints(inputs: ServiceEndpoints) -> ClusterLoadAssignment:
    """One locality with every endpoint; it stays, empty, when there is none."""
    return ClusterLoadAssignment(
        cluster_name=inputs.cluster,
        endpoints=[LocalityLbEndpoints(lb_endpoints=[_endpoint(item) for item in inputs.found.endpoints])],
    )


def _endpoint(endpoint: topology.Endpoint) -> LbEndpoint:
    tags = Struct(fields={key: Value(string_value=value) for key, value in endpoint.tags})
    return LbEndpoint(
        endpoint=Endpoint(address=socket_address(endpoint.ip, endpoint.port)),
        metadata=Metadata(filter_metadata={LB_METADATA: tags}),
    )


def build_outbound_listener(inputs: OutboundListener) -> ListenerDraft:
    """A TCP listener for the local service's calls; its statistics are named after the service called."""
    return tcp_listener(inputs.name, inputs.ip, inputs.port, inputs.cluster, stat_prefix=inputs.service)
