"""What the kernel itself serves on the admin server."""

from __future__ import annotations

from collections.abc import Iterator

from kuma_core.admin.control_plane_ca import ControlPlaneCa
from kuma_core.admin.revocations import RevokedTokens
from kuma_core.admin.secrets import ExportSecrets, ImportSecrets
from kuma_core.admin.signing_keys import SigningKeyCollection, SigningKeyItem
from kuma_core.admin.tokens import Tokens
from kuma_core.api.contract import Route
from kuma_core.auth.contract import tokens_enabled
from kuma_core.auth.keys import SigningKeys
from kuma_core.auth.revocations import Revocations
from kuma_core.auth.tokens import TokenIssuer, TokenVerifier
from kuma_core.ca.server_tls import trusted_root
from kuma_core.runtime.contract import Context


def admin_routes(context: Context) -> Iterator[Route]:
    """``/control-plane-ca``, ``/secrets``, and ``/tokens`` unless issuing is off (API specification, 3.1)."""
    yield Route("/control-plane-ca", ControlPlaneCa(trusted_root(context.config, context.secrets)))
    yield Route("/secrets/export", ExportSecrets(context.secrets))
    yield Route("/secrets/import", ImportSecrets(context.secrets))
    if tokens_enabled(context.config):
        yield from _token_routes(context.signing_keys, context.revocations)


def _token_routes(keys: SigningKeys, revocations: Revocations) -> Iterator[Route]:
    yield Route("/tokens", Tokens(TokenIssuer(keys)))
    yield Route("/tokens/revocations", RevokedTokens(revocations, TokenVerifier(keys, revocations)))
    yield Route("/tokens/signing-keys", SigningKeyCollection(keys))
    yield Route("/tokens/signing-keys/{id}", SigningKeyItem(keys))
