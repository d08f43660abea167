"""What a generator of Envoy resources sees and returns, and what is told about connected proxies.

Nothing heavy is imported here: plugins may import this at start.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from kuma_core.specs.tags import TagPairs

if TYPE_CHECKING:
    from kuma_core.model import Resource, ResourceKey
    from kuma_core.policy.contract import Edit
    from kuma_core.xds.view import ProxyView

PREFIX = "type.googleapis.com/"
CLUSTER = PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = PREFIX + "envoy.config.listener.v3.Listener"
ROUTES = PREFIX + "envoy.config.route.v3.RouteConfiguration"

SHORT_NAMES = {CLUSTER: "cds", ENDPOINTS: "eds", LISTENER: "lds", ROUTES: "rds"}
"""How status, metrics and logs name the types."""


@dataclass(frozen=True, slots=True, order=True)
class Proxy:
    """A proxy as it introduced itself: the mesh and name of its Dataplane, and what it said about itself.

    Two streams of one Dataplane with different metadata are different proxies (data plane, 4.2).
    """

    mesh: str
    name: str
    metadata: TagPairs = ()

    @property
    def id(self) -> tuple[str, str]:
        """Mesh and name."""
        return (self.mesh, self.name)

    def __str__(self) -> str:
        return f"{self.mesh}.{self.name}"


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
    """One Envoy resource that a proxy should have: what it depends on, and how it is built.

    ``build(inputs)`` is a function of a module, gets nothing else, and returns a live Envoy message (or a
    ``ListenerDraft``); ``edits`` are the policies that then edit it, in order. All of it is done only when no
    proxy has a resource of the same inputs and edits yet, so that sharing between proxies is right by
    construction: what is not in the draft cannot be seen.
    """

    type_url: str
    name: str
    inputs: Hashable
    build: Callable[[Any], Any]
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Generator:
    """Adds drafts for every proxy. Generators run in ``order``; of two drafts with one type and name by
    different generators the later one counts, by the same generator the first (data plane, 2.2)."""

    name: str
    order: int
    generate: Callable[[ProxyView], Iterable[Draft]]


@dataclass(frozen=True, slots=True)
class Counts:
    """Responses of one type on one stream."""

    sent: int = 0
    acknowledged: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What is known about one ADS stream (data plane, 4.6); ``counts`` by type URL.

    ``acknowledged`` are the versions that it runs with; ``rejections`` are Envoy's words for responses that it
    refused, until it accepts a later one of the type.
    """

    id: str
    proxy: Proxy
    connected: datetime
    disconnected: datetime | None = None
    updated: datetime | None = None
    counts: Mapping[str, Counts] = field(default_factory=dict)
    acknowledged: Mapping[str, str] = field(default_factory=dict)
    rejections: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CertificateTrouble:
    """How often a certificate could not be issued, and why the last one was not; empty once one was."""

    refused: int = 0
    problem: str = ""


class Previewer(Protocol):
    """Tells what the control plane would send. Safe to use from any thread."""

    def inspect(self, mesh: str, name: str) -> dict[str, Any]:
        """The configuration of one Dataplane's proxies as JSON data; raises ``NotFound``."""
        ...

    def dry_run(self, key: ResourceKey, resource: Resource | None) -> list[dict[str, Any]]:
        """The proxies that would change if a resource were stored or (``None``) deleted, and how."""
        ...


class Streams(Protocol):
    """What is known about the streams of connected proxies. Safe to use from any thread."""

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
        """Count reports that could not be stored as changed again, unless a newer one is there."""
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
