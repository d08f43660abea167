"""What a generator of Envoy resources sees and returns, and what the kernel tells about connected proxies.

This module imports nothing heavy: plugins may import it at start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from kuma_core.mesh.contract import EndpointSet
from kuma_core.model import Resource, ResourceKey
from kuma_core.policy.contract import Destination, Edit
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.tags import TagPairs
from kuma_core.xds.proxy import Proxy

PREFIX = "type.googleapis.com/"
CLUSTER = PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = PREFIX + "envoy.config.listener.v3.Listener"
ROUTES = PREFIX + "envoy.config.route.v3.RouteConfiguration"

SHORT_NAMES = {CLUSTER: "cds", ENDPOINTS: "eds", LISTENER: "lds", ROUTES: "rds"}
"""How status, metrics and logs name the types."""


@dataclass(frozen=True, slots=True)
class SecretServer:
    """The SDS server as proxies reach it, and the certificate to trust it by, in PEM."""

    target: str
    root: str


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where one proxy gets its certificates: the SDS server, and the file of the token to show."""

    target: str
    root: str
    token_path: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One Envoy resource that a proxy should have: what it depends on, and what builds it.

    ``build(inputs)`` is a function of a module, gets nothing else, and returns a live Envoy message (or a
    ``ListenerDraft``); ``edits`` are the policies that then edit it, in order. The kernel builds only what no
    proxy has yet with the same inputs and edits; since ``build`` sees nothing but the draft, sharing between proxies
    is right by construction.

    ``encoded`` are the bytes of what ``build`` returns, by ``sdk.envoy.encoded``, if whoever drafts has them already.
    They are taken in its place where no policy edits the draft.
    """

    type_url: str
    name: str
    inputs: Hashable
    build: Callable[[Any], Any]
    edits: tuple[Edit, ...] = ()
    encoded: bytes | None = field(default=None, compare=False, repr=False)


class ProxyView(Protocol):
    """All that a generator may look at: one proxy, the frozen mesh around it, and the policies that apply.

    The view notes what a generator asks for. A change of that generates the proxy anew, and a change of anything else
    does not.
    """

    @property
    def proxy(self) -> Proxy:
        """The proxy as it introduced itself."""
        ...

    @property
    def dataplane(self) -> DataplaneSpec:
        """The spec of its Dataplane."""
        ...

    @property
    def mesh(self) -> MeshSpec:
        """The spec of its Mesh."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the proxy said about itself when it connected."""
        ...

    @property
    def tag_sets(self) -> tuple[TagPairs, ...]:
        """The tags of each inbound, or of the gateway: who the proxy is as a source."""
        ...

    @property
    def admin_port(self) -> int:
        """The port of the proxy's admin API, 0 if it has none."""
        ...

    def warn(self, text: str) -> None:
        """Tell who inspects the proxy what it does not get, why, and what to do about it."""
        ...

    @property
    def is_virtual(self) -> bool:
        """Whether iptables redirects connections to one listener, so that Envoy binds no other one."""
        ...

    def resources(self, kind: str) -> Mapping[str, Any]:
        """The specs of all resources of a kind in the proxy's mesh (of a global kind: all that there are), by name.

        Raises ``KeyError`` for a kind that nobody registered, or registered without ``affects_proxies``.
        """
        ...

    def endpoints(self, selector: Mapping[str, str]) -> EndpointSet:
        """The endpoints of the destination that the tags select; one of the tags is ``service``."""
        ...

    def destinations(self, service: str) -> tuple[Destination, ...]:
        """Where connections to a service go: what its route says, else the service itself."""
        ...

    def outbound_edits(self, service: str) -> tuple[Edit, ...]:
        """What policies do to the listeners of outbounds to a service."""
        ...

    def destination_edits(self, service: str) -> tuple[Edit, ...]:
        """What policies do to the clusters of a service that a route leads to."""
        ...

    def inbound_edits(self, tags: Mapping[str, str]) -> tuple[Edit, ...]:
        """What policies do to the listener of an inbound."""
        ...

    def secret_source(self) -> SecretSource | None:
        """Where the proxy gets its certificates; ``None`` while the mesh is not encrypted."""
        ...

    def spiffe_id(self, service: str) -> str:
        """The identity of a service of the mesh."""
        ...


@dataclass(frozen=True, slots=True)
class Generator:
    """Adds drafts for every proxy. Generators run in ``order``; of two drafts with one type and name by
    different generators the later one counts, by the same generator the first."""

    name: str
    order: int
    generate: Callable[[ProxyView], Iterable[Draft]]
    plugin: str = field(default="", compare=False)
    """Who brought it; the kernel notes that when it registers the generator."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Responses of one type on one stream."""

    sent: int = 0
    acknowledged: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What the control plane knows about one ADS stream; ``counts`` by type URL.

    ``acknowledged`` are the versions that it runs with; ``rejections`` are Envoy's words for responses that it
    refused, until it accepts a later one of the type. ``ended_because`` is why the control plane ended it; empty if it
    did not.
    """

    id: str
    proxy: Proxy
    connected: datetime
    disconnected: datetime | None = None
    updated: datetime | None = None
    counts: Mapping[str, Counts] = field(default_factory=dict)
    acknowledged: Mapping[str, str] = field(default_factory=dict)
    rejections: Mapping[str, str] = field(default_factory=dict)
    ended_because: str = ""


@dataclass(frozen=True, slots=True)
class CertificateTrouble:
    """How often a certificate could not be issued, and why the last one was not; empty once one was.

    ``issued`` tells whether this control plane ever issued one: what another one knew is over then. ``made`` and
    ``ends`` are of the newest one.
    """

    refused: int = 0
    problem: str = ""
    issued: bool = False
    made: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a write would change: the ``proxies``, as JSON data.

    So many dataplanes were ``examined`` of those that ``there_are`` before the time was over. For the first
    ``detailed`` proxies it is told what exactly differs in each resource.
    """

    proxies: Sequence[Mapping[str, Any]]
    examined: int
    there_are: int
    detailed: int


@runtime_checkable
class Previewer(Protocol):
    """Tells what the control plane would send. Safe to use from any thread."""

    def inspect(self, mesh: str, name: str) -> dict[str, Any]:
        """The configuration of one Dataplane's proxies as JSON data; raises ``NotFound``."""
        ...

    def dry_run(self, key: ResourceKey, resource: Resource | None) -> Foreseen:
        """The proxies that a write of a resource, or (``None``) its deletion, would change, and how.

        Raises ``Busy``.
        """
        ...


@runtime_checkable
class Streams(Protocol):
    """What the control plane knows about the streams of connected proxies. Safe to use from any thread."""

    def wait_changed(self) -> None:
        """Block until a report changed, or ``wake`` was called."""
        ...

    def wake(self) -> None:
        """End the current ``wait_changed``, or the next one."""
        ...

    def tell_again(self) -> None:
        """Count every open stream as changed."""
        ...

    def take_changed(self) -> list[StreamReport]:
        """The reports that changed since the last call."""
        ...

    def put_back(self, reports: Iterable[StreamReport]) -> None:
        """Take back reports that the store refused: they count as changed again, unless a newer one is there."""
        ...

    def problem(self, mesh: str, name: str) -> str:
        """Why a proxy of a Dataplane still has an older configuration; empty if all is well."""
        ...

    def refusals(self, mesh: str, name: str) -> CertificateTrouble:
        """Whether a Dataplane's proxies get their certificates."""
        ...

    def connected(self) -> int:
        """How many streams are open."""
        ...


@dataclass(frozen=True, slots=True)
class Behind:
    """Why a proxy does not run with its newest configuration.

    ``made`` is the mark of when that changed last, or of when it failed to be made.
    """

    reason: str
    made: int


@runtime_checkable
class Enforcement(Protocol):
    """Whether the proxies connected to this control plane run with the newest configuration. For any thread."""

    def mark(self) -> int:
        """A number that grows: whatever is made of something that is stored from now on has a greater one."""
        ...

    def newest(self, meshes: Collection[str]) -> int:
        """The greatest mark of what was made for a proxy of some meshes (``""``: of all); 0 without any."""
        ...

    def behind_newest(self, meshes: Collection[str]) -> Mapping[tuple[str, str], Behind]:
        """Who of some meshes (``""``: of all) does not yet run with what the changes told so far ask for, and why.

        By mesh and name of the Dataplane. Raises ``Busy`` if there is no answer in time.
        """
        ...


@runtime_checkable
class Acceptance(Protocol):
    """What the proxies connected to this control plane have accepted. Safe to use from any thread."""

    def listen(self, accepted: Callable[[Proxy], None]) -> None:
        """Call ``accepted`` whenever a proxy accepted listeners, or its identity: in the event loop, which waits."""
        ...

    def has_all(self, mesh: str, name: str) -> bool:
        """Whether a proxy of a Dataplane accepted its listeners, and where its mesh is encrypted its identity."""
        ...

    def streams(self, mesh: str, name: str) -> Sequence[StreamReport]:
        """The open streams of a Dataplane's proxies."""
        ...

    def settle(self, seconds: float) -> None:
        """Wait until what was told so far is handed to the streams. Raises ``Busy``, or ``KumaError``."""
        ...

    def wait_turned_away(self, mesh: str, name: str, seconds: float) -> int:
        """Wait until all that call a service of a Dataplane have acknowledged the endpoints of now.

        How many have not, after so many seconds at most. Raises ``KumaError`` while the store cannot be read.
        """
        ...

    def callers(self, mesh: str, name: str) -> Sequence[str]:
        """The instances that serve and call a service of a Dataplane, whether their proxies are connected or not."""
        ...


@runtime_checkable
class Identities(Protocol):
    """The certificates of the proxies that are connected to this control plane. Safe to use from any thread."""

    def behind(self, mesh: str) -> Sequence[object]:
        """The proxies that have not acknowledged yet what the authority of their mesh says now.

        Raises ``KumaError`` if it says nothing.
        """
        ...

    def authority_changed(self, mesh: str) -> None:
        """Have each proxy of a mesh looked at: whether there is something new for it."""
        ...
