"""What a dataplane token says, and whether this control plane issues and verifies any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kuma_core.config import Config


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a dataplane token says. ``id`` is what a revocation names; ``expires`` is ``None`` for never."""

    name: str
    mesh: str
    id: str
    issued: datetime
    expires: datetime | None = None


def tokens_enabled(config: Config) -> bool:
    """Whether dataplane tokens are issued and verified: one switch for both.

    On Kubernetes proxies prove themselves by their service accounts instead.
    """
    on = config.flag("adminServer.apis.dataplaneToken.enabled")
    return on and config.text("environment") == "universal"
