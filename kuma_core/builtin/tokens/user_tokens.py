"""User tokens: signed JWTs that say who somebody is and in which groups. Each of them ends.

They are signed with the keys of dataplane tokens, and have an audience, which those have not: none passes for the
other.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
import structlog

from kuma_core.auth.contract import TOKEN, User
from kuma_core.builtin.tokens.contract import UserClaims
from kuma_core.builtin.tokens.keys import Key, SigningKeys
from kuma_core.builtin.tokens.revocations import Revocations
from kuma_core.builtin.tokens.tokens import ALGORITHM, Refused, key_of
from kuma_core.durations import SECOND

_log = structlog.get_logger("user-tokens")

AUDIENCE = "kuma-users"
REMEMBERED = 1000
"""How many tokens are not verified again: it takes a tenth of a millisecond, each time."""

_ANOTHER = "ask an admin for a new one (kumactl generate user-token)"
_OPTIONS: Any = {
    "require": ["aud", "sub", "groups", "exp", "iat", "jti"],
    "verify_exp": False,  # ours to do: a token that has expired can still be revoked
    "verify_iat": False,
}


@dataclass(frozen=True, slots=True)
class GenuineUser:
    """A token that we have signed: what it says, and with which key."""

    claims: UserClaims
    key: Key


class UserTokenIssuer:
    """Signs tokens with the newest key."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def issue(self, name: str, groups: Iterable[str], valid_for: int) -> tuple[str, str]:
        """A token for ``valid_for`` nanoseconds, and its id.

        Raises ``KumaError`` if there is no key, ``StoreUnavailable`` if it cannot be read.
        """
        key = self._keys.to_sign()
        now, id = int(datetime.now(UTC).timestamp()), str(uuid.uuid4())
        claims: dict[str, Any] = {
            "aud": AUDIENCE,
            "sub": name,
            "groups": sorted(set(groups)),
            "iat": now,
            "exp": now + max(1, -(-valid_for // SECOND)),
            "jti": id,
        }
        _log.info("a user token is issued", token=id, user=name, groups=claims["groups"], key=key.id)
        return jwt.encode(claims, key.private, ALGORITHM, headers={"kid": key.id}), id


class UserTokenVerifier:
    """Believes a token that a known key has signed, has not expired and was not revoked. As ``UserTokens`` has it."""

    def __init__(self, keys: SigningKeys, revocations: Revocations) -> None:
        self._keys, self._revocations = keys, revocations
        self._lock = threading.Lock()
        self._verified: dict[bytes, GenuineUser] = {}

    def user(self, credential: str) -> User:
        """The user of a good token; raises ``Refused``."""
        digest = hashlib.sha256(credential.encode("utf-8", "surrogatepass")).digest()
        genuine = self._verified.get(digest)
        if genuine is None:
            genuine = self._remember(digest, self.genuine(credential))
        self._require_good(genuine)
        claims = genuine.claims
        return User(claims.name, claims.groups, TOKEN, claims.id)

    def genuine(self, token: str) -> GenuineUser:
        """What a token says that we have signed, be it over or not; raises ``Refused``."""
        try:
            key = key_of(self._keys, token, _ANOTHER)
            payload = jwt.decode(token, key.public, [ALGORITHM], audience=AUDIENCE, options=_OPTIONS)
            return GenuineUser(_claims(payload), key)
        except jwt.InvalidSignatureError:
            raise Refused("its signature is wrong", _ANOTHER) from None
        except (jwt.PyJWTError, OverflowError, TypeError, ValueError, OSError):
            raise Refused("it is no user's token", _ANOTHER) from None

    def _remember(self, digest: bytes, genuine: GenuineUser) -> GenuineUser:
        with self._lock:
            if len(self._verified) >= REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[digest] = genuine
        return genuine

    def _require_good(self, genuine: GenuineUser) -> None:
        if genuine.claims.expires <= datetime.now(UTC):
            raise Refused("it has expired", _ANOTHER)
        if self._keys.known(genuine.key.id) is None:
            raise Refused("the key that signed it is not known here", _ANOTHER)
        if genuine.claims.id in self._revocations:
            raise Refused("it was revoked", _ANOTHER)


def _claims(payload: dict[str, Any]) -> UserClaims:
    """The claims with their types checked; raises ``ValueError``."""
    name, groups, id = (payload[claim] for claim in ("sub", "groups", "jti"))
    if not all(isinstance(text, str) and text for text in (name, id)):
        raise ValueError
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise ValueError
    return UserClaims(name, frozenset(groups), id, datetime.fromtimestamp(float(payload["exp"]), UTC))


def tell_revoked(id: str, user: str, result: str) -> None:
    """Have a line in the log for a token that was revoked."""
    _log.info("a user token is revoked", token=id, user=user, result=result)
