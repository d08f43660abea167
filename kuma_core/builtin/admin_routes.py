"""What the kernel itself serves on the admin server."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.admin.tokens import Tokens
from kuma_core.api.contract import Route
from kuma_core.auth.contract import tokens_enabled
from kuma_core.auth.tokens import TokenIssuer
from kuma_core.runtime.contract import Context


def admin_routes(context: Context) -> Iterator[Route]:
    """``/tokens``, unless issuing is off (API specification, 3.1)."""
    if tokens_enabled(context.config):
        yield Route("/tokens", Tokens(TokenIssuer(context.signing_keys)))
