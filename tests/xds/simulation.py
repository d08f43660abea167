"""A stream of the server and a client of the tests, connected without a network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from functools import cache

from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManager

from kuma_core.mesh.contract import Endpoint
from kuma_core.mesh.topology import endpoint_set
from kuma_core.testing.routed import RoutedListener, Routes, build_routed_listener, build_routes
from kuma_core.testing.xds_client import Client, DeltaClient, SotwClient
from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from kuma_core.xds.fields import Fields
from kuma_core.xds.generators import inbound, outbound
from kuma_core.xds.seal import Sealed, seal
from kuma_core.xds.server.delta import DeltaStream
from kuma_core.xds.server.sotw import SotwStream
from kuma_core.xds.server.stream import Acknowledgement
from kuma_core.xds.snapshot import Snapshot

VARIANTS = {"delta": (DeltaStream, DeltaClient), "sotw": (SotwStream, SotwClient)}


class Recorder:
    """Counts what the server would put into a report."""

    def __init__(self) -> None:
        self.sent_types: list[str] = []
        self.answers: list[tuple[str, str | None]] = []
        self.versions: dict[str, str] = {}
        self.refused: dict[str, str] = {}

    def sent(self, type_url: str) -> None:
        self.sent_types.append(type_url)

    def answered(self, type_url: str, answer: Acknowledgement) -> None:
        self.answers.append((type_url, answer.error))
        self.refused[type_url] = answer.refused
        if answer.version:
            self.versions[type_url] = answer.version

    def up_to_date(self, type_url: str, version: str) -> None:
        self.versions[type_url] = version


@cache
def cluster(service: str, timeout: int = 5) -> Sealed:
    live = outbound.build_service_cluster(outbound.ServiceCluster(service))
    live.connect_timeout = timedelta(seconds=timeout)
    return seal(CLUSTER, service, live)


@cache
def endpoints(service: str, *ports: int) -> Sealed:
    found = endpoint_set(Endpoint("127.0.0.1", port, (("service", service),)) for port in ports)
    live = outbound.build_service_endpoints(outbound.ServiceEndpoints(service, found))
    return seal(ENDPOINTS, service, live)


@cache
def listener(port: int, service: str) -> Sealed:
    inputs = outbound.OutboundListener("127.0.0.1", port, service, ((service, 1),))
    return seal(LISTENER, inputs.name, outbound.build_outbound_listener(inputs))


@cache
def local(port: int) -> Sealed:
    inputs = inbound.LocalCluster(port)
    return seal(CLUSTER, inputs.name, inbound.build_local_cluster(inputs))


def outbounds(**ports: int) -> Snapshot:
    """A snapshot with a listener, a cluster and one endpoint for every ``service=port``."""
    resources = []
    for service, port in ports.items():
        resources += [cluster(service), endpoints(service, 9000), listener(port, service)]
    return Snapshot(resources)


@cache
def routed(port: int, routes: str) -> Sealed:
    """A listener that takes its routes over ADS."""
    inputs = RoutedListener(f"routed:{port}", "127.0.0.1", port, routes)
    return seal(LISTENER, inputs.name, build_routed_listener(inputs))


@cache
def route(name: str, service: str) -> Sealed:
    """Routes that send everything to one cluster."""
    return seal(ROUTES, name, build_routes(Routes(name, service)))


def switched(service: str, port: int = 7100) -> Snapshot:
    """One listener whose routes lead to a service."""
    return Snapshot(
        [cluster(service), endpoints(service, 9000), routed(port, "main"), route("main", service)]
    )


class Link:
    """Carries messages both ways until neither side has anything to say, and checks on the way that no
    listener or route of the client points to a cluster that it does not have. Time stands still unless it is told
    to pass."""

    def __init__(self, variant: str, client: Client | None = None, gapless: bool = True) -> None:
        stream, make_client = VARIANTS[variant]
        self.now = 0.0
        self.recorder = Recorder()
        self.stream = stream(self.recorder, lambda: self.now)
        self.client = client or make_client("default.web-1")
        self._requests = deque(self.client.begin())
        # On a new state-of-the-world stream the server cannot know the clusters that the client still has.
        self._gapless = gapless and (variant == "delta" or client is None)

    def publish(self, snapshot: Snapshot) -> None:
        self.stream.snapshot = snapshot
        self.settle()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.settle()

    def pass_all_time(self) -> None:
        """Go from one alarm of the stream to the next, until there is none."""
        for _ in range(1000):
            wake = self.stream.wake()
            if wake is None:
                return
            self.now = max(self.now, wake)
            self.settle()
        raise AssertionError("the stream has always something to do")

    def settle(self, most: int = 1000) -> None:
        for _ in range(most):
            while self._requests:
                self.stream.take(self._requests.popleft())
                self._respond()
            self._respond()
            if not self._requests:
                return
        raise AssertionError("server and client do not come to rest")

    def request(self, data: bytes) -> None:
        self._requests.append(data)
        self.settle()

    def _respond(self) -> None:
        for response in self.stream.responses():
            self._requests.extend(self.client.take(response))
            self._check()

    def _check(self) -> None:
        if not self._gapless or any(kind == CLUSTER and error for kind, error in self.recorder.answers):
            return
        for name in clusters_in_use(self.client):
            assert name in self.client.resources[CLUSTER], f"something points to {name}, which is not there"

    def runs(self, snapshot: Snapshot) -> bool:
        """Whether the client has exactly the resources of a snapshot, byte for byte."""
        return all(
            self.client.resources[url] == {name: body(item) for name, item in snapshot.resources(url).items()}
            for url in (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
        )


def body(item: Sealed) -> bytes:
    """The message of a resource, as the client has it."""
    return Fields(item.packed).last(2) or b""


def clusters_in_use(client: Client) -> Iterator[str]:
    """The clusters that the listeners and routes of a client point to."""
    for packed in client.resources[LISTENER].values():
        config = Listener.parse(packed).filter_chains[0].filters[0].typed_config.unpack()
        if not isinstance(config, HttpConnectionManager):
            yield config.cluster
    for packed in client.resources[ROUTES].values():
        yield RouteConfiguration.parse(packed).virtual_hosts[0].routes[0].route.cluster
