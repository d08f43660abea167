"""The feature: its parts share the keys and the revocations, which they read once."""

from __future__ import annotations

from collections.abc import Iterable

from kuma_core.api.contract import Route
from kuma_core.auth.contract import Authenticator
from kuma_core.builtin.tokens.contract import REQUIRE_SERVICES, tokens_enabled
from kuma_core.builtin.tokens.key_routes import SigningKeyCollection, SigningKeyItem
from kuma_core.builtin.tokens.keys import SigningKeys
from kuma_core.builtin.tokens.revocation_routes import RevokedTokens
from kuma_core.builtin.tokens.revocations import Revocations
from kuma_core.builtin.tokens.token_route import Tokens
from kuma_core.builtin.tokens.tokens import TokenIssuer, TokenVerifier
from kuma_core.plugin.contract import ChangeListener, Context
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.resources.secrets import SECRET


class TokensFeature:
    """The open feature of dataplane tokens: it offers its keys, and brings nothing where tokens are switched off."""

    def __init__(self, context: Context) -> None:
        self._enabled = tokens_enabled(context.config)
        self._require_services = context.config.flag(REQUIRE_SERVICES)
        self._revocations = Revocations(context.secrets)
        self.offer = self._keys = SigningKeys(context.secrets)

    @hookimpl
    def kuma_prepare(self) -> None:
        """The first key that signs."""
        if self._enabled:
            self._keys.ensure()

    @hookimpl
    def kuma_register_change_listeners(self) -> Iterable[ChangeListener]:
        """Read anew what other control planes write of keys and revocations."""
        listeners = (self._keys.changed, self._revocations.changed)
        return [ChangeListener(changed, (SECRET,)) for changed in listeners]

    @hookimpl
    def kuma_register_authenticators(self) -> Iterable[Authenticator]:
        """Proxies prove who they are by their tokens."""
        if self._enabled:
            yield Authenticator("dataplane-token", TokenVerifier(self._keys, self._revocations))

    @hookimpl
    def kuma_register_admin_routes(self) -> Iterable[Route]:
        """``/tokens`` and what is below."""
        if not self._enabled:
            return
        verifier = TokenVerifier(self._keys, self._revocations)
        yield Route("/tokens", Tokens(TokenIssuer(self._keys), self._require_services))
        yield Route("/tokens/revocations", RevokedTokens(self._revocations, verifier))
        yield Route("/tokens/signing-keys", SigningKeyCollection(self._keys))
        yield Route("/tokens/signing-keys/{id}", SigningKeyItem(self._keys))
