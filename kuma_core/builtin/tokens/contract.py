"""What a dataplane token says, and whether this control plane issues and verifies any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kuma_core.config import Config

SIGNING_KEY = "dataplane-token-signing-key"
"""The secret of the first key; later ones end in ``-2``, ``-3`` and so on. The last one signs, all of them verify."""

REVOCATIONS = "dataplane-token-revocations"
"""The secret with the ids of tokens that somebody revoked."""


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a dataplane token says. ``id`` is what a revocation names; ``expires`` is ``None`` for never."""

    name: str
    mesh: str
    id: str
    issued: datetime
    expires: datetime | None = None


def tokens_enabled(config: Config) -> bool:
    """Whether this control plane issues dataplane tokens and verifies them: one switch for both.

    On Kubernetes proxies prove themselves by their service accounts instead.
    """
    on = config.flag("adminServer.apis.dataplaneToken.enabled")
    return on and config.text("environment") == "universal"
