"""What an Envoy says on an ADS stream, without the network: pure state, bytes in, bytes out.

Seen with a real Envoy 1.40: clusters are asked for first, endpoints once clusters came, listeners once the
first clusters are warm; a cluster that was added or changed is warm when its endpoints were sent after it, and
the clusters' acknowledgement is held back until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from envoy_data_plane.google.protobuf import Any, Struct, Value
from envoy_data_plane.google.rpc import Status

from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER
from kuma_core.xds.server.wire import Fields

TYPES = (CLUSTER, ENDPOINTS, LISTENER)


@dataclass(frozen=True, slots=True)
class Received:
    """One response as it arrived: the names of its resources, and those that it removed."""

    type_url: str
    version: str
    nonce: str
    names: tuple[str, ...]
    removed: tuple[str, ...] = ()


@dataclass
class Client:
    """Common to both variants. ``reject`` maps a type to the text with which its responses are refused.

    ``metadata`` is what the node says about itself.
    ``resources`` holds what the client runs with: by type, by name, the packed message. ``received`` is the
    diary.
    """

    node_id: str
    reject: dict[str, str] = field(default_factory=dict)
    resources: dict[str, dict[str, bytes]] = field(default_factory=lambda: {url: {} for url in TYPES})
    received: list[Received] = field(default_factory=list)
    metadata: Mapping[str, str] = field(default_factory=dict)
    _warming: set[str] = field(default_factory=set)
    _asked_listeners: bool = False
    _introduced: bool = False

    def _node(self) -> Node | None:
        """The node goes along with the first request of a stream only."""
        first, self._introduced = not self._introduced, True
        told = {key: Value(string_value=text) for key, text in self.metadata.items()}
        return Node(id=self.node_id, metadata=Struct(fields=told)) if first else None

    def _gave_up(self, type_url: str, names: Iterable[str]) -> list[bytes]:
        """A cluster whose endpoints were refused is taken as warm, without any."""
        if type_url != ENDPOINTS:
            return []
        self._warming -= set(names)
        return self._warm()

    def _warm(self) -> list[bytes]:
        """Once every cluster is warm: the acknowledgement that was held back, and the first word on listeners."""
        raise NotImplementedError  # each variant has its own

    def count(self, type_url: str | None = None) -> int:
        """How many responses (of a type) arrived."""
        return sum(1 for item in self.received if type_url in (None, item.type_url))


def is_eds(packed: bytes) -> bool:
    """Whether a packed cluster takes its endpoints over ADS."""
    return bool(Cluster.parse(packed).type == ClusterDiscoveryType.EDS)


@dataclass
class DeltaClient(Client):
    """An Envoy that speaks delta. It survives a lost stream: call ``begin`` again for the next one."""

    versions: dict[str, dict[str, str]] = field(default_factory=lambda: {url: {} for url in TYPES})
    _endpoint_names: set[str] = field(default_factory=set)
    _held_back: str = ""

    def begin(self) -> list[bytes]:
        """The requests with which a stream starts: all that was asked for before, with what is held."""
        self._introduced, self._held_back = False, ""
        requests = [self._request(CLUSTER, initial=self.versions[CLUSTER])]
        if self._endpoint_names:
            names = sorted(self._endpoint_names)
            requests.append(self._request(ENDPOINTS, subscribe=names, initial=self.versions[ENDPOINTS]))
        if self._asked_listeners:
            requests.append(self._request(LISTENER, initial=self.versions[LISTENER]))
        return requests

    def take(self, data: bytes) -> list[bytes]:
        """The requests that a response leads to."""
        response = DeltaDiscoveryResponse.parse(data)
        names = tuple(item.name for item in response.resources)
        removed = tuple(response.removed_resources)
        self.received.append(
            Received(response.type_url, response.system_version_info, response.nonce, names, removed)
        )
        if response.type_url in self.reject:
            nack = self._request(response.type_url, response.nonce, error=self.reject[response.type_url])
            return [nack, *self._gave_up(response.type_url, names)]
        self._store(response)
        if response.type_url == CLUSTER:
            return self._take_clusters(response)
        if response.type_url == ENDPOINTS:
            self._warming -= {*names, *removed}
        return [self._request(response.type_url, response.nonce), *self._warm()]

    def _store(self, response: DeltaDiscoveryResponse) -> None:
        held, versions = self.resources[response.type_url], self.versions[response.type_url]
        for item in response.resources:
            assert item.resource is not None
            held[item.name], versions[item.name] = item.resource.value, item.version
        for name in response.removed_resources:
            held.pop(name, None)
            versions.pop(name, None)

    def _take_clusters(self, response: DeltaDiscoveryResponse) -> list[bytes]:
        sent = {item.name for item in response.resources if item.resource and is_eds(item.resource.value)}
        removed = set(response.removed_resources) & self._endpoint_names
        new = sent - self._endpoint_names
        self._endpoint_names = (self._endpoint_names | sent) - removed
        for name in removed:
            self.resources[ENDPOINTS].pop(name, None)
            self.versions[ENDPOINTS].pop(name, None)
        self._warming = (self._warming | sent) - removed
        self._held_back = response.nonce
        requests = []
        if new or removed:
            requests.append(self._request(ENDPOINTS, subscribe=sorted(new), unsubscribe=sorted(removed)))
        return [*requests, *self._warm()]

    def _warm(self) -> list[bytes]:
        if self._warming or not self._held_back:
            return []
        nonce, self._held_back = self._held_back, ""
        requests = [self._request(CLUSTER, nonce)]
        if not self._asked_listeners:
            self._asked_listeners = True
            requests.append(self._request(LISTENER))
        return requests

    def _request(
        self,
        type_url: str,
        nonce: str = "",
        subscribe: Iterable[str] = (),
        unsubscribe: Iterable[str] = (),
        initial: dict[str, str] | None = None,
        error: str | None = None,
    ) -> bytes:
        return bytes(
            DeltaDiscoveryRequest(
                node=self._node(),
                type_url=type_url,
                response_nonce=nonce,
                resource_names_subscribe=list(subscribe),
                resource_names_unsubscribe=list(unsubscribe),
                initial_resource_versions=dict(initial or {}),
                error_detail=Status(code=13, message=error) if error is not None else None,
            )
        )


@dataclass
class SotwClient(Client):
    """An Envoy that speaks state-of-the-world."""

    versions: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TYPES, ""))
    nonces: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TYPES, ""))
    _endpoint_names: set[str] = field(default_factory=set)
    _held_back: tuple[str, str] | None = None

    def begin(self) -> list[bytes]:
        """The requests with which a stream starts."""
        self._introduced, self._held_back = False, None
        self.nonces = dict.fromkeys(TYPES, "")
        requests = [self._request(CLUSTER)]
        if self._endpoint_names:
            requests.append(self._request(ENDPOINTS))
        if self._asked_listeners:
            requests.append(self._request(LISTENER))
        return requests

    def take(self, data: bytes) -> list[bytes]:
        """The requests that a response leads to."""
        response = DiscoveryResponse.parse(data)
        url = response.type_url
        resources = {_name(item): item.value for item in response.resources}
        self.received.append(Received(url, response.version_info, response.nonce, tuple(resources)))
        self.nonces[url] = response.nonce
        if url in self.reject:
            return [self._request(url, error=self.reject[url]), *self._gave_up(url, resources)]
        if url == CLUSTER:
            return self._take_clusters(response.version_info, resources)
        if url == ENDPOINTS:
            self.resources[url].update(resources)
            self._warming -= resources.keys()
        else:
            self.resources[url] = resources
        self.versions[url] = response.version_info
        return [self._request(url), *self._warm()]

    def _take_clusters(self, version: str, resources: dict[str, bytes]) -> list[bytes]:
        held = self.resources[CLUSTER]
        touched = {name for name, packed in resources.items() if held.get(name) != packed and is_eds(packed)}
        self.resources[CLUSTER] = resources
        self._endpoint_names = {name for name, packed in resources.items() if is_eds(packed)}
        gone = self.resources[ENDPOINTS].keys() - self._endpoint_names
        for name in gone:
            del self.resources[ENDPOINTS][name]
        self._warming = (self._warming | touched) & self._endpoint_names
        self._held_back = (version, self.nonces[CLUSTER])
        ask = [self._request(ENDPOINTS)] if touched or gone else []
        return [*ask, *self._warm()]

    def _warm(self) -> list[bytes]:
        if self._warming or self._held_back is None:
            return []
        (version, _), self._held_back = self._held_back, None
        self.versions[CLUSTER] = version
        requests = [self._request(CLUSTER)]
        if not self._asked_listeners:
            self._asked_listeners = True
            requests.append(self._request(LISTENER))
        return requests

    def _request(self, type_url: str, error: str | None = None) -> bytes:
        names = sorted(self._endpoint_names) if type_url == ENDPOINTS else []
        return bytes(
            DiscoveryRequest(
                node=self._node(),
                type_url=type_url,
                version_info=self.versions[type_url],
                response_nonce=self.nonces[type_url],
                resource_names=names,
                error_detail=Status(code=13, message=error) if error is not None else None,
            )
        )


def _name(item: Any) -> str:
    """The name of a packed resource: field 1 of clusters, endpoints and listeners alike."""
    return Fields(item.value).text(1)
