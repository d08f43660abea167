"""What a policy plugin registers: how the kernel matches its resources, and what a match does.

A policy is stateless. ``resolve`` turns the resources that matched into a frozen, hashable configuration and may
look at everything that counts; ``apply`` edits a live draft and sees nothing but that configuration. Proxies
share Envoy resources of equal inputs and equal configurations; since ``apply`` cannot see anything else, sharing is
right by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

from kuma_core.specs.dataplane import DataplaneSpec
from kuma_core.specs.mesh import MeshSpec
from kuma_core.specs.tags import TagPairs

_NONE: Mapping[str, Any] = MappingProxyType({})


class Scope(Enum):
    """For what the kernel chooses a policy, and what ``apply`` edits.

    For an inbound all matches apply together; everywhere else the best match applies alone.

    - ``ROUTE``: an outbound's service; ``resolve`` returns the ``Destination`` tuple, and ``apply`` edits nothing.
    - ``OUTBOUND``: an outbound's service; edits the ``ListenerDraft`` of each outbound to it.
    - ``DESTINATION``: a service that the routes lead to; edits the ``Cluster`` of each of its destinations.
    - ``INBOUND``: an inbound; edits its ``ListenerDraft``.
    - ``PROXY``: a proxy; edits the map ``(type URL, name) -> Draft`` of everything generated.
    """

    ROUTE = "route"
    OUTBOUND = "outbound"
    DESTINATION = "destination"
    INBOUND = "inbound"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class Ends:
    """The selectors of one policy resource. A kind without destinations leaves them empty (scope PROXY)."""

    sources: tuple[TagPairs, ...] = ()
    destinations: tuple[TagPairs, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A policy resource that applies."""

    name: str
    spec: Any


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a share of an outbound's connections goes: the tags that its instances have, and a weight."""

    tags: TagPairs
    weight: int

    @property
    def service(self) -> str:
        """The destination's service."""
        return dict(self.tags)["service"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What ``resolve`` may look at: the proxy and its mesh, and the service or the inbound's tags at hand.

    ``service`` is empty in the scopes INBOUND and PROXY; ``tags`` are those of the inbound, else empty.
    ``metadata`` is what the proxy said about itself when it connected. ``resources`` gives the specs of another kind's
    resources in this mesh by name, and has the proxy generated anew when one of them changes. ``setting`` gives the
    value of a configuration key; ``None`` outside of a control plane. ``admin_port``: of Envoy's admin API, or 0.
    """

    dataplane: DataplaneSpec
    mesh_name: str
    mesh: MeshSpec
    service: str
    tags: TagPairs
    metadata: Mapping[str, str]
    resources: Callable[[str], Mapping[str, Any]] = field(default=lambda kind: _NONE, compare=False)
    setting: Callable[[str], Any] = field(default=lambda path: None, compare=False)
    admin_port: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """How resources of one kind act on proxies.

    ``resolve`` gets the matches, sorted by name, at least one, and may return ``None``: the policy does nothing then.
    ``apply`` gets the draft of the scope and what ``resolve`` returned. Policies are applied in ``order``, a
    number that no other policy has.

    ``prepare`` is for work that would make ``apply`` or the build of its drafts long (more than some milliseconds). It
    gets what ``resolve`` returned, before each ``apply``, and answers with that work as a function, or with ``None`` if
    there is nothing to do, the usual case. The kernel calls the function in a thread beside the one that configures
    proxies; a proxy keeps what it has until then. What was prepared is the policy's to remember, in bounds. ``apply``
    must work without it, too.
    """

    kind: str
    order: int
    scope: Scope
    ends: Callable[[Any], Ends]
    resolve: Callable[[tuple[Match, ...], Subject], Hashable | None]
    apply: Callable[[Any, Any], None] | None = None
    prepare: Callable[[Any], Callable[[], object] | None] | None = None
    plugin: str = field(default="", compare=False)
    """Who brought it; the kernel notes that when it registers the policy."""
    admits: Callable[[Any, tuple[str, ...]], tuple[str, ...]] | None = None
    """For scope INBOUND, if the policy lets clients of an encrypted mesh in: the names of those resources in what
    ``resolve`` returned that let in a client which proves to have these SPIFFE ids. Maps of services ask it, so that
    what they show is what ``apply`` writes."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One policy's part in a draft: hashable, and all that its ``apply`` will see."""

    kind: str
    apply: Callable[[Any, Any], None]
    conf: Hashable
    names: tuple[str, ...] = field(default=(), compare=False)
    """The resources that it comes from, for messages."""
