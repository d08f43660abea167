"""What an Envoy says on an ADS stream, without the network: pure state, bytes in, bytes out.

Seen with a real Envoy 1.40: clusters are asked for first, endpoints once clusters came, listeners once the
first clusters are warm, routes once a listener names them; a cluster that was added or changed is warm when its
endpoints were sent after it, and the clusters' answer is held back until then. Of a response that it refuses it
applies the good parts all the same, and what it says about its versions stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpConnectionManager
from envoy_data_plane.envoy.service.discovery.v3 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
    DiscoveryResponse,
)
from envoy_data_plane.google.protobuf import Any, Struct, Value
from envoy_data_plane.google.rpc import Status

from kuma_core.xds.contract import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from kuma_core.xds.fields import Fields
from kuma_core.xds.snapshot import TYPES

WHOLE = (CLUSTER, LISTENER)
"""The types of which everything is asked for, and a state-of-the-world response holds everything."""
_MANAGER = b"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


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
    """Common to both variants.

    ``reject`` maps a type to the text with which its responses are refused unread, as those are that break a
    constraint; ``bad`` maps a type and a name to the text with which that resource alone is refused.
    ``metadata`` is what the node says about itself.
    ``resources`` holds what the client runs with: by type, by name, the packed message. ``received`` is the
    diary.
    """

    node_id: str
    reject: dict[str, str] = field(default_factory=dict)
    bad: dict[tuple[str, str], str] = field(default_factory=dict)
    resources: dict[str, dict[str, bytes]] = field(default_factory=lambda: {url: {} for url in TYPES})
    received: list[Received] = field(default_factory=list)
    metadata: Mapping[str, str] = field(default_factory=dict)
    _asked: dict[str, set[str]] = field(default_factory=lambda: {ENDPOINTS: set(), ROUTES: set()})
    _warming: set[str] = field(default_factory=set)
    _asked_listeners: bool = False
    _introduced: bool = False

    def _node(self) -> Node | None:
        """The node goes along with the first request of a stream only."""
        first, self._introduced = not self._introduced, True
        told = {key: Value(string_value=text) for key, text in self.metadata.items()}
        return Node(id=self.node_id, metadata=Struct(fields=told)) if first else None

    def _apply(self, type_url: str, sent: Mapping[str, bytes], removed: Iterable[str]) -> str | None:
        """Take what is good of a response, and was asked for; the reason if something is bad.

        Envoy hands endpoints and routes to their users one after the other, and stops at a bad one. What removes them
        it accepts and passes over.
        """
        if type_url in self.reject:
            return self.reject[type_url]
        held = self.resources[type_url]
        reasons: list[str] = []
        for name, packed in sent.items():
            if type_url not in WHOLE and (reasons or name not in self._asked[type_url]):
                continue
            if reason := self.bad.get((type_url, name)):
                reasons.append(reason)
            else:
                held[name] = packed
        for name in removed if type_url in WHOLE else ():
            held.pop(name, None)
        return "\n".join(reasons) or None

    def _needed(self, type_url: str) -> set[str]:
        """The names of what clusters or listeners refer to."""
        if type_url == ENDPOINTS:
            return {name for name, packed in self.resources[CLUSTER].items() if is_eds(packed)}
        return {name for packed in self.resources[LISTENER].values() for name in routes_of(packed)}

    def _ask_anew(self, type_url: str) -> tuple[set[str], set[str]]:
        """Which names are needed now that were not, and which are needed no longer."""
        needed, before = self._needed(type_url), self._asked[type_url]
        self._asked[type_url] = needed
        for name in self.resources[type_url].keys() - needed:
            del self.resources[type_url][name]
        return needed - before, before - needed

    def _warm(self) -> list[bytes]:
        """Once every cluster is warm: the answer that was held back, and the first word on listeners."""
        raise NotImplementedError  # each variant has its own

    def count(self, type_url: str | None = None) -> int:
        """How many responses (of a type) arrived."""
        return sum(1 for item in self.received if type_url in (None, item.type_url))


@lru_cache(maxsize=10_000)
def is_eds(packed: bytes) -> bool:
    """Whether a packed cluster takes its endpoints over ADS."""
    return bool(Cluster.parse(packed).type == ClusterDiscoveryType.EDS)


def routes_of(packed: bytes) -> set[str]:
    """The names of the routes that a packed listener takes over ADS."""
    if _MANAGER not in packed:
        return set()
    filters = [item for chain in Listener.parse(packed).filter_chains for item in chain.filters]
    found = [item.typed_config.unpack() for item in filters if item.typed_config]
    return {
        item.rds.route_config_name for item in found if isinstance(item, HttpConnectionManager) and item.rds
    }


def _error(reason: str | None) -> Status | None:
    return None if reason is None else Status(code=13, message=reason)


@dataclass
class DeltaClient(Client):
    """An Envoy that speaks delta. It survives a lost stream: call ``begin`` again for the next one."""

    versions: dict[str, dict[str, str]] = field(default_factory=lambda: {url: {} for url in TYPES})
    _held_back: tuple[str, str | None] | None = None

    def begin(self) -> list[bytes]:
        """The requests with which a stream starts: all that was asked for before, with what is held."""
        self._introduced, self._held_back = False, None
        types = [CLUSTER, *([LISTENER] if self._asked_listeners else [])]
        types[1:1] = [ENDPOINTS] if self._asked[ENDPOINTS] else []
        types += [ROUTES] if self._asked[ROUTES] else []
        return [
            self._request(url, subscribe=sorted(self._asked.get(url, ())), initial=self.versions[url])
            for url in types
        ]

    def take(self, data: bytes) -> list[bytes]:
        """The requests that a response leads to."""
        response = DeltaDiscoveryResponse.parse(data)
        url, nonce = response.type_url, response.nonce
        sent = {item.name: item.resource.value for item in response.resources if item.resource}
        removed = tuple(response.removed_resources)
        self.received.append(Received(url, response.system_version_info, nonce, tuple(sent), removed))
        error = self._apply(url, sent, removed)
        if error is None:
            self._note_versions(response)
        if url == CLUSTER:
            return self._take_clusters(sent, nonce, error)
        requests = [*self._ask(ROUTES)] if url == LISTENER else []
        if url == ENDPOINTS:
            self._warming -= {*sent, *removed} if error is None else self._warming
        return [*requests, self._request(url, nonce, error=error), *self._warm()]

    def _note_versions(self, response: DeltaDiscoveryResponse) -> None:
        versions = self.versions[response.type_url]
        versions |= {item.name: item.version for item in response.resources}
        for name in response.removed_resources:
            versions.pop(name, None)

    def _take_clusters(self, sent: Mapping[str, bytes], nonce: str, error: str | None) -> list[bytes]:
        requests = self._ask(ENDPOINTS)
        applied = {name for name, packed in sent.items() if self.resources[CLUSTER].get(name) == packed}
        self._warming = (self._warming | applied) & self._asked[ENDPOINTS]
        self._held_back = (nonce, error)
        return [*requests, *self._warm()]

    def _ask(self, type_url: str) -> list[bytes]:
        new, old = self._ask_anew(type_url)
        for name in old:
            self.versions[type_url].pop(name, None)
        ask = self._request(type_url, subscribe=sorted(new), unsubscribe=sorted(old)) if new or old else None
        return [ask] if ask else []

    def _warm(self) -> list[bytes]:
        if self._warming or not self._held_back:
            return []
        (nonce, error), self._held_back = self._held_back, None
        requests = [self._request(CLUSTER, nonce, error=error)]
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
                error_detail=_error(error),
            )
        )


@dataclass
class SotwClient(Client):
    """An Envoy that speaks state-of-the-world."""

    versions: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TYPES, ""))
    nonces: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TYPES, ""))
    _held_back: tuple[str, str | None] | None = None

    def begin(self) -> list[bytes]:
        """The requests with which a stream starts."""
        self._introduced, self._held_back = False, None
        self.nonces = dict.fromkeys(TYPES, "")
        requests = [self._request(CLUSTER)]
        if self._asked[ENDPOINTS]:
            requests.append(self._request(ENDPOINTS))
        if self._asked_listeners:
            requests.append(self._request(LISTENER))
        if self._asked[ROUTES]:
            requests.append(self._request(ROUTES))
        return requests

    def take(self, data: bytes) -> list[bytes]:
        """The requests that a response leads to."""
        response = DiscoveryResponse.parse(data)
        url, version = response.type_url, response.version_info
        sent = {_name(item): item.value for item in response.resources}
        self.received.append(Received(url, version, response.nonce, tuple(sent)))
        self.nonces[url] = response.nonce
        before = dict(self.resources[url])
        error = self._apply(url, sent, self.resources[url].keys() - sent.keys())
        if url == CLUSTER:
            return self._take_clusters(before, version, error)
        if error is None:
            self.versions[url] = version
        requests = self._ask(ROUTES, set()) if url == LISTENER else []
        if url == ENDPOINTS:
            self._warming -= sent.keys() if error is None else self._warming
        return [*requests, self._request(url, error=error), *self._warm()]

    def _take_clusters(self, before: dict[str, bytes], version: str, error: str | None) -> list[bytes]:
        held = self.resources[CLUSTER]
        touched = {name for name, packed in held.items() if before.get(name) != packed}
        self._held_back = (version, error)
        requests = self._ask(ENDPOINTS, touched)
        self._warming = (self._warming | touched) & self._asked[ENDPOINTS]
        return [*requests, *self._warm()]

    def _ask(self, type_url: str, touched: set[str]) -> list[bytes]:
        """Ask for other names, or once more for the same if what refers to some of them was touched."""
        new, old = self._ask_anew(type_url)
        return [self._request(type_url)] if new or old or touched & self._asked[type_url] else []

    def _warm(self) -> list[bytes]:
        if self._warming or self._held_back is None:
            return []
        (version, error), self._held_back = self._held_back, None
        if error is None:
            self.versions[CLUSTER] = version
        requests = [self._request(CLUSTER, error=error)]
        if not self._asked_listeners:
            self._asked_listeners = True
            requests.append(self._request(LISTENER))
        return requests

    def _request(self, type_url: str, error: str | None = None) -> bytes:
        return bytes(
            DiscoveryRequest(
                node=self._node(),
                type_url=type_url,
                version_info=self.versions[type_url],
                response_nonce=self.nonces[type_url],
                resource_names=sorted(self._asked.get(type_url, ())),
                error_detail=_error(error),
            )
        )


def _name(item: Any) -> str:
    """The name of a packed resource: field 1 of clusters, endpoints, listeners and routes alike."""
    return Fields(item.value).text(1)
