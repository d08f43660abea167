"""Who somebody is, and what they may do: what authenticators of proxies say, and how a plugin decides about users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Protocol, runtime_checkable

from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.model import Resource
from kuma_core.specs.tags import TagPairs
from kuma_core.xds.proxy import Proxy

Tags = Callable[[], Sequence[Mapping[str, str]]]
"""Tells the tags of a proxy's Dataplane: those of each inbound, or of its gateway. It may ask the store, so a claim
calls it only if it depends on them: then it is asked again when they change. Raises ``NotFound`` if there is no such
Dataplane yet, ``StoreUnavailable``."""


class Unauthenticated(KumaError):
    """The caller did not prove to be who it says that it is; the text says why."""


def _is_good() -> None:
    """Nothing speaks against a credential that nobody can take back."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Why the control plane believes a proxy, and until when: its streams end at ``expires``; ``None`` is never.

    ``id`` names the credential in logs; it is no secret. ``confirm`` is asked after a hint of
    ``WatchedProxyAuthenticator.watch``, for every open stream: it answers from memory, by raising
    ``Unauthenticated`` with the sentence to end the stream with.
    """

    id: str
    expires: datetime | None = None
    confirm: Callable[[], None] = field(default=_is_good, repr=False, compare=False)


class Claim(Protocol):
    """What a credential that is good is good for."""

    @property
    def proof(self) -> Proof:
        """Why the credential is believed."""
        ...

    def allows(self, proxy: Proxy, tags: Tags) -> None:
        """Return if whoever shows the credential may be that proxy; raises ``Unauthenticated``."""
        ...


class ProxyAuthenticator(Protocol):
    """Decides whether a proxy is who it says, in two steps. Safe for use from several threads.

    The first step comes before anything is read of what the proxy says, so that strangers cost little.
    """

    def recognise(self, credential: str) -> Claim:
        """Return what a credential is good for; raises ``Unauthenticated`` if it is good for nothing.

        Raises ``StoreUnavailable`` if the store is needed and does not answer. No text shows any of the credential.
        """
        ...


@runtime_checkable
class WatchedProxyAuthenticator(ProxyAuthenticator, Protocol):
    """One that can take back what it believed."""

    def watch(self, changed: Callable[[], None], stop: Stop) -> None:
        """Call ``changed`` whenever a proof may be good no longer, until ``stop`` is set."""
        ...


@dataclass(frozen=True, slots=True)
class Authenticator:
    """What a plugin brings: a way for proxies to prove who they are, and its name for logs and errors.

    ``spares_plain`` has the configuration of a proxy (ADS) given without a credential as well, while its mesh has no
    mTLS; for platforms on which not every proxy can have one. An identity (SDS) is never given without.
    """

    name: str
    authenticator: ProxyAuthenticator
    spares_plain: bool = False


class Right(Enum):
    """The class of a route: what somebody has to be who asks it.

    ``PUBLIC``: nobody in particular. ``READER``: somebody who may look at meshes. ``ADMIN``: somebody who may change
    everything, or whom the ``AccessPolicy`` of a plugin allows this one thing.
    """

    PUBLIC = "public"
    READER = "reader"
    ADMIN = "admin"


ADMINS, READERS = "kuma:admin", "kuma:reader"
"""The groups that the kernel itself knows: who is in the first may do everything, who is in the second may read."""

LOOPBACK, TOKEN, CERTIFICATE, SOCKET, NOBODY = "loopback", "token", "certificate", "socket", "nobody"
"""By what a user is known: see ``User.by``."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. ``by`` is what proved it: a connection of this machine, a token, a client certificate, the Unix socket,
    or nothing (``NOBODY``). ``id`` names the credential in logs; it is no secret, and empty where there is none.
    """

    name: str
    groups: frozenset[str] = frozenset()
    by: str = NOBODY
    id: str = field(default="", compare=False)


class Verb(Enum):
    """What somebody wants to do. ``READ`` and ``ADMIN`` are for routes that are about no resource."""

    GET = "get"
    LIST = "list"
    PUT = "put"
    DELETE = "delete"
    DRY_RUN = "dry-run"
    GENERATE_TOKEN = "generate-token"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user wants to do, to what.

    ``kind`` is empty for ``READ`` and ``ADMIN``; ``name`` is then the template of the route, as in
    ``/meshes/{mesh}/service-map``. ``mesh`` is empty for global kinds, and where no mesh is named. For ``LIST``
    ``name`` is empty. ``tag_sets`` are the tags of each inbound, or of the gateway, of a Dataplane, and for a policy
    the selectors of the proxies that it configures (``*`` is any value, a tag that is not there is any, too): of what
    is written, **and**, in a question of its own, of what is stored there already. Whoever replaces or deletes it needs
    the right over both; of what is not there it is asked without any. All sets of a question have to be allowed.
    For ``GENERATE_TOKEN`` the kind is ``Dataplane``, and the sets are those that the token would be good for: one
    without a tag is good for any value of it, no sets at all for any Dataplane.
    """

    user: User
    verb: Verb
    kind: str = ""
    mesh: str = ""
    name: str = ""
    tag_sets: tuple[TagPairs, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed. ``why`` names what allowed it, as ``AccessRoleBinding "web-team"``, or says in a
    sentence without a full stop what none did. ``ways`` are sentences of what helps, each for itself; the kernel adds
    its own."""

    allowed: bool
    why: str
    ways: tuple[str, ...] = ()


Snapshot = Mapping[str, Sequence[Resource]]
"""All resources of some kinds, by kind: sorted by mesh and name. Those that cannot be read are left out."""

Decide = Callable[[Asked], Decision]


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """How a plugin decides what users may do who are in neither group of the kernel.

    ``prepare`` gets the resources of all ``kinds``, frozen, and returns the function that decides: pure, fast, and safe
    for use from several threads. The kernel calls ``prepare`` anew before the first decision after one of them changed,
    and remembers decisions in between. One that raises, hangs or is in quarantine allows nothing.
    """

    name: str
    kinds: tuple[str, ...]
    prepare: Callable[[Snapshot], Decide]
