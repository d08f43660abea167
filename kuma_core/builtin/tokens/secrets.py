"""The names of the secrets that decide about tokens, and what an import of an older backup does to them."""

from __future__ import annotations

import re

from kuma_core.resources.contract import OwnSecret

SIGNING_KEY = "dataplane-token-signing-key"
"""The first key; later ones end in ``-2``, ``-3`` and so on. The last one signs, all of them verify."""

REVOCATIONS = "dataplane-token-revocations"
"""The ids of tokens that are not believed any more."""


def _united(there: bytes, archived: bytes) -> bytes:
    """Imported when it is called: phase 1 loads no cryptography."""
    from kuma_core.builtin.tokens.revocations import united

    return united(there, archived)


OWN_SECRETS = (
    OwnSecret(rf"{re.escape(SIGNING_KEY)}(-.+)?"),
    OwnSecret(rf"{re.escape(REVOCATIONS)}(-.+)?", unite=_united),
)
