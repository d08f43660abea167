"""What an authenticator knows of a caller, and why it believes the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.xds.proxy import Proxy

Tags = Callable[[], Sequence[Mapping[str, str]]]
"""Tells the tags of a proxy's Dataplane: those of each inbound, or of its gateway. It may ask the store, so a claim
calls it only if it depends on them. Raises ``NotFound`` if there is no such Dataplane yet, ``StoreUnavailable``."""


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
    """What a plugin brings: a way for proxies to prove who they are, and its name for logs and errors."""

    name: str
    authenticator: ProxyAuthenticator
