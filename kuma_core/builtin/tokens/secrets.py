"""What the kernel has to know of the secrets that decide about tokens."""

from __future__ import annotations

import re

from kuma_core.builtin.tokens.contract import REVOCATIONS, SIGNING_KEY
from kuma_core.resources.contract import OwnSecret


def _united(there: bytes, archived: bytes) -> bytes:
    """Import when called: phase 1 loads no cryptography."""
    from kuma_core.builtin.tokens.revocations import united

    return united(there, archived)


OWN_SECRETS = (
    OwnSecret(rf"{re.escape(SIGNING_KEY)}(-.+)?"),
    OwnSecret(rf"{re.escape(REVOCATIONS)}(-.+)?", unite=_united),
)
