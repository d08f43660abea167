"""What the kernel gives to a plugin that it opens, and the values that an opened feature may bring."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from kuma_core.config import Config
from kuma_core.histogram import Distribution
from kuma_core.kinds import Kinds
from kuma_core.lifecycle import Stop
from kuma_core.policy.contract import Policy
from kuma_core.resources.contract import Change, Resources, Secrets, Store
from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.xds.contract import Generator

T = TypeVar("T")


class Views(Protocol):
    """What the control plane knows of every mesh, from memory. Safe for use from several threads.

    It may be a moment behind the store, and it goes on to answer while the store cannot be reached.
    """

    def mesh_spec(self, mesh: str) -> MeshSpec | None:
        """The spec of a Mesh; ``None`` if there is no such mesh."""
        ...

    def dataplane_spec(self, mesh: str, name: str) -> DataplaneSpec | None:
        """The spec of a Dataplane; ``None`` if there is no such one."""
        ...

    def resources(self, kind: str, mesh: str) -> Mapping[str, Any]:
        """The specs of all resources of a kind in a mesh (of a global kind: all that there are), by name.

        Raises ``KeyError`` for a kind that nobody registered, or registered without ``affects_proxies``.
        """
        ...

    def counts(self) -> Mapping[str, int]:
        """How many resources there are of each kind that affects proxies."""
        ...


class Leadership(Protocol):
    """Whether this control plane, of all over one store, does what one alone may do."""

    @property
    def leads(self) -> bool:
        """Whether it is this one."""
        ...


class Registered(Protocol):
    """What all loaded plugins registered before the kernel opened the first of them."""

    @property
    def kinds(self) -> Kinds:
        """The kinds of resources."""
        ...

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The policies, in their order."""
        ...

    @property
    def generators(self) -> tuple[Generator, ...]:
        """The generators, in their order."""
        ...

    def distribution(self, plugin: str) -> str:
        """The distribution that a loaded plugin came with."""
        ...


class Asker(Protocol):
    """Finds what a plugin offers to others."""

    def __call__(self, asking: str, plugin: str, contract: type[Any]) -> Any:
        """What ``plugin`` offers to the plugin ``asking``; raises ``PluginError`` that names both."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a plugin may use in ``kuma_open`` and in every hook of phase 2. ``plugin`` is its own name.

    ``instance_id`` is the id of this control plane among several over one store.
    """

    plugin: str
    instance_id: str
    config: Config
    registered: Registered
    store: Store
    resources: Resources
    secrets: Secrets
    views: Views
    leadership: Leadership
    _ask: Asker = field(repr=False)

    def ask(self, plugin: str, contract: type[T]) -> T:
        """What another plugin offers, as far as ``contract``, a runtime-checkable Protocol, describes it.

        The kernel opens the other plugin first. Raises ``PluginError`` if it is not loaded, offers nothing of that
        form, or asks for something of the plugin that asks.
        """
        found: T = self._ask(self.plugin, plugin, contract)
        return found


class Component(Protocol):
    """A long-running part of the control plane.

    The kernel calls ``run`` in a thread of its own; ``run`` returns when ``stop`` is set. If it raises, or returns
    before, the log tells the reason, and the kernel calls it again after a second, then two, at last sixty. One that
    must not be called twice says so by an attribute ``restartable`` that is false; then the control plane ends with the
    component's name.

    A ``leader_only`` part runs on one control plane at a time: the kernel starts it again after it stopped, and it is
    to return within a second or so, since another control plane then takes over. From then on its writes are refused
    with ``LeaseLost``. What it stores carries the term of the leader.
    """

    @property
    def name(self) -> str:
        """A unique name, for logs."""
        ...

    @property
    def leader_only(self) -> bool:
        """Whether one control plane alone may run it."""
        ...

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set."""
        ...


@dataclass(frozen=True, slots=True)
class ChangeListener:
    """Hears of changes in the store: ``changed`` gets each of them, or those of some ``kinds``, and every resync.

    The store's watch calls it and waits for it: it takes the hint and works in a thread of its own.
    """

    changed: Callable[[Change], None]
    kinds: tuple[str, ...] = ()

    def hear(self, change: Change) -> None:
        """Call ``changed`` if the change is of a kind that the listener cares for."""
        if not self.kinds or change.key is None or change.key.type in self.kinds:
            self.changed(change)


GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"

Samples = Callable[[], Iterable[tuple[Sequence[str], float | Distribution]]]
"""Gives the values of the labels, in their order, with the number that stands there now; for a histogram with what a
``Histogram`` reads."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A family of numbers in ``/metrics``. ``type`` is ``GAUGE``, ``COUNTER``, whose name ends in ``_total``, or
    ``HISTOGRAM``, whose ``read`` is that of a ``Histogram``.

    Each scrape calls ``read``, from any thread: it answers from memory.
    """

    name: str
    help: str
    read: Samples
    type: str = GAUGE
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Port:
    """A port to listen on: the number stands in the setting, ``interface`` is an address, ``""`` for all."""

    setting: str
    interface: str = ""


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A Unix socket to listen on, for those whom ``mode`` and ``group`` (a name or a number; empty: none) let in.

    ``setting`` and ``env`` are what messages name. One that is ``spare`` is left out if it cannot be
    had, with a warning.
    """

    setting: str
    env: str
    path: str
    mode: int = 0o600
    group: str = ""
    spare: bool = False


def _nothing() -> str:
    return "nothing"


EVERYTHING, TO_READ, NOTHING = "everything", "to read", "nothing"


@dataclass(frozen=True, slots=True)
class Access:
    """What a listener gives to whom, in a few words for the table of all listeners.

    ``strangers`` show no credential; ``web_pages`` are of another origin, in the browser of somebody who can reach the
    listener.
    """

    strangers: str = EVERYTHING
    web_pages: str = EVERYTHING


@dataclass(frozen=True, slots=True)
class Body:
    """How many bytes a request's body may have: more are refused with 413, which names the setting if there is one."""

    most_bytes: int = 1024 * 1024
    setting: str = ""


@dataclass(frozen=True, slots=True)
class WsgiServer:
    """An HTTP server over a WSGI app with worker threads, for short answers. ``tls`` makes it HTTPS.

    ``asks_for`` says in a few words, for the log, by what a client has to prove who it is. ``at_once`` are paths that
    are answered whatever the workers are at, and even without a free descriptor: their responders wait for nothing.
    A server that ends by itself is made anew on the same port, with the same ``app``; unless it is ``restartable``, the
    control plane ends.
    """

    name: str
    port: Port | UnixSocket
    app: Callable[..., Any]
    tls: ssl.SSLContext | None = None
    asks_for: Callable[[], str] = _nothing
    body: Body = Body()
    at_once: tuple[str, ...] = ()
    access: Access = Access()
    restartable: bool = True


@dataclass(frozen=True, slots=True)
class AsgiServer:
    """An HTTP server over an ASGI app with an event loop of its own, for answers that stream; else as the one above.

    ``connections`` may be open at once; more get a 503. ``arrivals`` a second are let in in the long run, and twice as
    many at once after a rest; more wait in the system's queue (0: there is no such bound). ``stopping`` is called from
    another thread when the server is to end: the app then ends its streams, which are cut off after two seconds.
    """

    name: str
    port: Port
    app: Callable[..., Any]
    tls: ssl.SSLContext | None = None
    asks_for: Callable[[], str] = _nothing
    body: Body = Body()
    access: Access = Access()
    connections: int = 200
    arrivals: int = 0
    stopping: Callable[[], None] = lambda: None
    restartable: bool = True


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key and its certificate chain, in PEM."""

    key: bytes = field(repr=False)
    chain: bytes


@dataclass(frozen=True, slots=True)
class GrpcServer:
    """A ``grpc.aio`` server. ``handlers`` and ``tls`` are called in the event loop when the server starts, ``stopping``
    when it is to end its streams. ``options`` are arguments of gRPC."""

    name: str
    port: Port
    handlers: Callable[[], Sequence[Any]]
    tls: Callable[[], KeyPair] | None = None
    options: Sequence[tuple[str, Any]] = ()
    stopping: Callable[[], None] = lambda: None
    asks_for: Callable[[], str] = _nothing
    access: Access = Access(web_pages=NOTHING)


Server = WsgiServer | AsgiServer | GrpcServer


@runtime_checkable
class Apps(Protocol):
    """The apps of HTTP servers, for a server that hands requests on to them; the kernel offers it as ``apps``.

    Whoever hands a request on leaves the address of the peer and the headers as they came: by them the app decides
    whom it serves, and nobody may get more by a detour.
    """

    def asgi(self, server: str) -> Callable[..., Any]:
        """The app of the server of that name, as ASGI, once servers are made. Raises ``KeyError`` for no such one."""
        ...


@dataclass(frozen=True, slots=True)
class StatsSink:
    """Where every Envoy sends its statistics: ``config`` is the typed configuration, as JSON data with ``@type``."""

    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StatsTag:
    """A tag of every Envoy's statistics: a ``regex`` that cuts it out of their names, or else a ``fixed_value``."""

    name: str
    regex: str = ""
    fixed_value: str = ""


@dataclass(frozen=True, slots=True)
class StaticCluster:
    """A cluster that every Envoy has from its start: ``config`` is Envoy's Cluster as JSON data, without a name."""

    name: str
    config: Mapping[str, Any]


BootstrapFragment = StatsSink | StatsTag | StaticCluster
