"""What is known of a caller, and when it is not believed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from kuma_core.errors import KumaError

if TYPE_CHECKING:
    from kuma_core.config import Config


class Unauthenticated(KumaError):
    """The caller did not prove to be who it says that it is; the text is the specification's (7.3)."""


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a dataplane token says. ``id`` is what a revocation names; ``expires`` is ``None`` for never."""

    name: str
    mesh: str
    id: str
    issued: datetime
    expires: datetime | None = None


class ProxyAuthenticator(Protocol):
    """Decides whether a proxy is who it says. Safe for use from several threads."""

    def authenticate(self, mesh: str, name: str, credential: str) -> None:
        """Return if the credential belongs to that proxy; raises ``Unauthenticated``.

        Raises ``StoreUnavailable`` if that cannot be told at the moment.
        """
        ...


def tokens_enabled(config: Config) -> bool:
    """Whether dataplane tokens are issued and verified: one switch for both (API specification, 9.2, 4).

    On Kubernetes proxies prove themselves by their service accounts instead.
    """
    on = config.flag("adminServer.apis.dataplaneToken.enabled")
    return on and config.text("environment") == "universal"
