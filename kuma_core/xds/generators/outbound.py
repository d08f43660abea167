"""Outbounds: a listener where the service calls another one, that one's cluster and its endpoints."""

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

from kuma_core.mesh import contract
from kuma_core.policy.contract import Destination
from kuma_core.specs.dataplane import SERVICE
from kuma_core.specs.interfaces import before_a_port
from kuma_core.specs.tags import TagPairs
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, Draft, ProxyView, SecretSource
from kuma_core.xds.drafts import ListenerDraft
from kuma_core.xds.generators import tls
from kuma_core.xds.generators.common import (
    CONNECT_TIMEOUT_SECONDS,
    Shares,
    socket_address,
    tcp_listener,
)

LB_METADATA = "envoy.lb"


@dataclass(frozen=True, slots=True)
class ServiceCluster:
    """What the cluster of another service depends on; ``identity`` is who has to answer, if it is encrypted."""

    name: str
    secrets: SecretSource | None = None
    identity: str = ""


@dataclass(frozen=True, slots=True)
class ServiceEndpoints:
    """What the endpoints of another service depend on."""

    cluster: str
    found: contract.EndpointSet


@dataclass(frozen=True, slots=True)
class OutboundListener:
    """What an outbound listener depends on: where it is, the service called, and who gets which share."""

    ip: str
    port: int
    service: str
    shares: Shares
    virtual: bool = False

    @property
    def name(self) -> str:
        """``outbound:<ip>:<port>``; an IPv6 address is in brackets."""
        return f"outbound:{before_a_port(self.ip)}:{self.port}"


def cluster_name(tags: TagPairs) -> str:
    """``<service>``, or ``<service>{k1=v1,k2=v2}`` with the other tags, sorted as texts."""
    others = sorted(f"{key}={value}" for key, value in tags if key != SERVICE)
    service = dict(tags)[SERVICE]
    return f"{service}{{{','.join(others)}}}" if others else service


def generate_outbound(view: ProxyView) -> Iterable[Draft]:
    """For every outbound a listener, and for every destination behind it a cluster and its endpoints."""
    for outbound in view.dataplane.networking.outbound:
        address, service = outbound.address, outbound.service
        shares: list[tuple[str, int]] = []
        for destination in view.destinations(service):
            if destination.weight:
                name = cluster_name(destination.tags)
                shares.append((name, destination.weight))
                yield from _destination(view, destination, name)
        # Without any share left the listener names a cluster that is not there, and Envoy resets.
        listener = OutboundListener(
            address.ip, address.port, service, tuple(shares) or ((service, 1),), view.is_virtual
        )
        edits = view.outbound_edits(service)
        yield Draft(LISTENER, listener.name, listener, build_outbound_listener, edits)


def _destination(view: ProxyView, destination: Destination, name: str) -> Iterable[Draft]:
    edits = view.destination_edits(destination.service)
    found = ServiceEndpoints(name, _but_the_admin_api(view, name, view.endpoints(dict(destination.tags))))
    secrets = view.secret_source()
    identity = view.spiffe_id(destination.service) if secrets else ""
    yield Draft(CLUSTER, name, ServiceCluster(name, secrets, identity), build_service_cluster, edits)
    yield Draft(ENDPOINTS, name, found, build_service_endpoints)


def _but_the_admin_api(view: ProxyView, name: str, found: contract.EndpointSet) -> contract.EndpointSet:
    """Without an endpoint that for this proxy is Envoy's own admin API, through which callers would govern it."""
    port = view.admin_port
    if not port or port not in found.local_ports:
        return found
    view.warn(_ADMIN_API.format(port, name))
    kept = (item for item in found.endpoints if item.port != port or not contract.is_local(item.ip))
    return contract.EndpointSet(tuple(kept))


_ADMIN_API = (
    "an endpoint at port {} of {} is left out: on the proxy's machine that is Envoy's admin API; give the Dataplane "
    "that has it an address which others reach, or restart kuma-dp with another --admin-port"
)


def build_service_cluster(inputs: ServiceCluster) -> Cluster:
    """A cluster whose endpoints come over ADS."""
    source = ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
    socket = tls.upstream(inputs.secrets, inputs.identity) if inputs.secrets else None
    return Cluster(
        name=inputs.name,
        type=ClusterDiscoveryType.EDS,
        connect_timeout=timedelta(seconds=CONNECT_TIMEOUT_SECONDS),
        eds_cluster_config=ClusterEdsClusterConfig(eds_config=source),
        transport_socket=socket,
    )


def build_service_endpoints(inputs: ServiceEndpoints) -> ClusterLoadAssignment:
    """One locality with every endpoint; it stays, empty, when there is none."""
    return ClusterLoadAssignment(
        cluster_name=inputs.cluster,
        endpoints=[LocalityLbEndpoints(lb_endpoints=[_endpoint(item) for item in inputs.found.endpoints])],
    )


def _endpoint(endpoint: contract.Endpoint) -> LbEndpoint:
    tags = Struct(fields={key: Value(string_value=value) for key, value in endpoint.tags})
    return LbEndpoint(
        endpoint=Endpoint(address=socket_address(endpoint.ip, endpoint.port)),
        metadata=Metadata(filter_metadata={LB_METADATA: tags}),
    )


def build_outbound_listener(inputs: OutboundListener) -> ListenerDraft:
    """A TCP listener for the local service's calls; its statistics bear the name of the service called."""
    return tcp_listener(
        inputs.name,
        inputs.ip,
        inputs.port,
        inputs.shares,
        stat_prefix=inputs.service,
        virtual=inputs.virtual,
    )
