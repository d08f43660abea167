"""The feature: its parts share the keys and the revocations, which they read once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from kuma_core.api.contract import Route
from kuma_core.auth.contract import Authenticator, Right, User
from kuma_core.builtin.tokens.contract import REQUIRE_SERVICES, tokens_enabled
from kuma_core.builtin.tokens.key_routes import SigningKeyCollection, SigningKeyItem
from kuma_core.builtin.tokens.keys import SigningKeys
from kuma_core.builtin.tokens.revocation_routes import RevokedTokens
from kuma_core.builtin.tokens.revocations import Revocations
from kuma_core.builtin.tokens.token_route import Tokens
from kuma_core.builtin.tokens.tokens import TokenIssuer, TokenVerifier
from kuma_core.builtin.tokens.user_token_route import UserTokensRoute
from kuma_core.builtin.tokens.user_tokens import UserTokenIssuer, UserTokenVerifier
from kuma_core.plugin.contract import ChangeListener, Context
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.resources.secrets import SECRET


@dataclass(frozen=True, slots=True)
class OfferedTokens:
    """What others may use of it; as ``UserTokens`` has it."""

    keys: SigningKeys
    users: UserTokenVerifier

    def user(self, credential: str) -> User:
        """The user of a token; raises ``Unauthenticated``."""
        return self.users.user(credential)


class TokensFeature:
    """The open feature of tokens: those of dataplanes, unless they are switched off, and those of users."""

    def __init__(self, context: Context) -> None:
        self._enabled = tokens_enabled(context.config)
        self._require_services = context.config.flag(REQUIRE_SERVICES)
        self._revocations = Revocations(context.secrets)
        self._keys = SigningKeys(context.secrets)
        self._users = UserTokenVerifier(self._keys, self._revocations)
        self.offer = OfferedTokens(self._keys, self._users)

    @hookimpl
    def kuma_prepare(self) -> None:
        """The first key that signs."""
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
        verifier = TokenVerifier(self._keys, self._revocations)
        admin = partial(Route, right=Right.ADMIN)
        if self._enabled:
            yield admin("/tokens", Tokens(TokenIssuer(self._keys), self._require_services), decides=True)
        yield admin("/tokens/user", UserTokensRoute(UserTokenIssuer(self._keys)))
        yield admin("/tokens/revocations", RevokedTokens(self._revocations, verifier, self._users))
        yield admin("/tokens/signing-keys", SigningKeyCollection(self._keys))
        yield admin("/tokens/signing-keys/{id}", SigningKeyItem(self._keys))
