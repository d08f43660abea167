"""What an authenticator knows of a caller, and why it believes the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop


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


class ProxyAuthenticator(Protocol):
    """Decides whether a proxy is who it says. Safe for use from several threads."""

    def authenticate(self, mesh: str, name: str, credential: str) -> Proof:
        """Return why if the credential belongs to that proxy; raises ``Unauthenticated``.

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
