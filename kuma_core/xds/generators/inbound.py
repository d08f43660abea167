"""Inbounds: a listener where others reach the service, and the cluster of the service itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from envoy_data_plane.envoy.config.cluster.v3 import Cluster

from kuma_core.specs.interfaces import before_a_port
from kuma_core.xds.contract import CLUSTER, LISTENER, Draft, ProxyView, SecretSource
from kuma_core.xds.drafts import ListenerDraft
from kuma_core.xds.generators import tls
from kuma_core.xds.generators.common import loopback_cluster, tcp_listener


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
    virtual: bool = False
    secrets: SecretSource | None = None

    @property
    def name(self) -> str:
        """``inbound:<ip>:<port>``; an IPv6 address is in brackets."""
        return f"inbound:{before_a_port(self.ip)}:{self.port}"


def generate_inbound(view: ProxyView) -> Iterable[Draft]:
    """A listener and a local cluster for every inbound; inbounds with one workload port share the cluster.

    It leaves out an inbound whose service would be Envoy's own admin API: others would govern the proxy through it. Of
    inbounds at one place, as two Services of Kubernetes over one port make them, the first one counts.
    """
    served: set[tuple[str, int]] = set()
    for inbound in view.dataplane.networking.inbound:
        address = inbound.address
        if (address.ip, address.port) in served:
            continue
        served.add((address.ip, address.port))
        if address.workload_port == view.admin_port:
            view.warn(_ADMIN_API.format(inbound.interface, address.workload_port))
            continue
        local = LocalCluster(address.workload_port)
        secrets = view.secret_source()
        listener = InboundListener(address.ip, address.port, local.name, view.is_virtual, secrets)
        yield Draft(CLUSTER, local.name, local, build_local_cluster)
        edits = view.inbound_edits(inbound.tags)
        yield Draft(LISTENER, listener.name, listener, build_inbound_listener, edits)


_ADMIN_API = (
    "inbound {} is left out: {} is the port of Envoy's admin API; restart kuma-dp with another --admin-port"
)


def build_local_cluster(inputs: LocalCluster) -> Cluster:
    """A static cluster with one endpoint, the service on loopback."""
    return loopback_cluster(inputs.name, inputs.port)


def build_inbound_listener(inputs: InboundListener) -> ListenerDraft:
    """A TCP listener that hands every connection to the local service.

    In an encrypted mesh it asks for a certificate, and lets nobody in whom no permission names.
    """
    shares = ((inputs.cluster, 1),)
    draft = tcp_listener(
        inputs.name, inputs.ip, inputs.port, shares, stat_prefix=inputs.cluster, virtual=inputs.virtual
    )
    if inputs.secrets:
        draft.transport_socket = tls.downstream(inputs.secrets)
        draft.filters.insert(0, tls.closed_door(inputs.name))
    return draft
