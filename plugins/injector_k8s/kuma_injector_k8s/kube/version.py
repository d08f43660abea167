"""Whether the cluster can have native sidecars: an older one drops what makes them so, and the Pod never starts."""

from __future__ import annotations

import re

from kuma_core.sdk import ConfigError
from kuma_injector_k8s.kube.api import Api

OLDEST = (1, 29)
"""The first version in which they are on by default."""


def require_native(api: Api) -> None:
    """Raise ConfigError if the API server is older than ``OLDEST``, and ApiFailure if it does not tell."""
    told = api.get("/version")
    found = tuple(int(_digits(told.get(name))) for name in ("major", "minor"))
    if found < OLDEST:
        raise ConfigError(
            f"injector.nativeSidecars: native sidecars need version {OLDEST[0]}.{OLDEST[1]} or later, and "
            f"{api.where} has {found[0]}.{found[1]}; set it to false"
        )


def _digits(text: object) -> str:
    found = re.match(r"\d+", str(text))  # some clusters say 29+
    return found[0] if found else "0"
