"""What the tokens of dataplanes and users say, and whether there are any of dataplanes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from kuma_core.auth.contract import User
from kuma_core.config import Config

SIGNING_KEY = "dataplane-token-signing-key"
"""The secret of the first key; later ones end in ``-2``, ``-3`` and so on. The last one signs, all of them verify."""

REVOCATIONS = "dataplane-token-revocations"
"""The secret with the ids of tokens that somebody revoked."""

REQUIRE_SERVICES = "adminServer.apis.dataplaneToken.requireServices"
"""Whether every new token has to say for which services a proxy may speak."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token allows beside a name. ``services`` are the values that the tag ``service`` may have, ``tags`` those
    of other tags, sorted; empty: any. A proxy has them in each of its inbounds, and as a gateway."""

    services: tuple[str, ...] = ()
    tags: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.services or self.tags)


NOTHING = Binding()
"""A token that says nothing of services and tags allows any."""


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a dataplane token says. ``id`` is what a revocation names; ``expires`` is ``None`` for never.

    Without a ``name``, which only one with a ``binding`` may lack, it is for every dataplane of the mesh that fits.
    """

    name: str
    mesh: str
    id: str
    issued: datetime
    expires: datetime | None = None
    binding: Binding = NOTHING


@dataclass(frozen=True, slots=True)
class UserClaims:
    """What a user's token says. ``id`` is what a revocation names; each ends."""

    name: str
    groups: frozenset[str]
    id: str
    expires: datetime


@runtime_checkable
class UserTokens(Protocol):
    """Tells users by their tokens. Safe for use from several threads; it answers from memory."""

    def user(self, credential: str) -> User:
        """The user of a token; raises ``Unauthenticated``, whose text shows nothing of it."""
        ...


def tokens_enabled(config: Config) -> bool:
    """Whether this control plane issues dataplane tokens and verifies them: one switch for both.

    On Kubernetes proxies prove themselves by their service accounts instead.
    """
    on = config.flag("adminServer.apis.dataplaneToken.enabled")
    return on and config.text("environment") == "universal"
