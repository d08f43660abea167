"""Dataplane tokens: signed JWTs that say which dataplane of which mesh somebody is (stance: RS256 only)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import jwt

from kuma_core.auth.contract import TokenClaims, Unauthenticated
from kuma_core.auth.keys import SigningKeys
from kuma_core.durations import SECOND

ALGORITHM = "RS256"
MAX_TOKEN = 64 * 1024
"""As much as kuma-dp takes."""

_REQUIRED = ("Name", "Mesh", "iat", "jti")


class TokenIssuer:
    """Signs tokens with the newest key."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def issue(self, name: str, mesh: str, valid_for: int | None = None) -> str:
        """A token for a dataplane, which need not exist yet; ``valid_for`` in nanoseconds, or for ever.

        Raises ``KumaError`` if there is no key, ``StoreUnavailable`` if it cannot be read.
        """
        key = self._keys.to_sign()
        now = int(datetime.now(UTC).timestamp())
        claims: dict[str, Any] = {"Name": name, "Mesh": mesh, "iat": now, "jti": str(uuid.uuid4())}
        if valid_for is not None:
            claims["exp"] = now + max(1, -(-valid_for // SECOND))
        return jwt.encode(claims, key.private, ALGORITHM, headers={"kid": key.id})


class TokenVerifier:
    """Verifies tokens with every known key. A ``ProxyAuthenticator``."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def authenticate(self, mesh: str, name: str, credential: str) -> None:
        """Return if the token is that of the dataplane; raises ``Unauthenticated`` (7.3)."""
        claims = self.verify(credential)
        for what, said, signed in (("name", name, claims.name), ("mesh", mesh, claims.mesh)):
            if said != signed:
                raise Unauthenticated(
                    f"proxy {what} from requestor: {said} is different than in token: {signed}"
                )

    def verify(self, token: str) -> TokenClaims:
        """What a genuine token says; raises ``Unauthenticated``, whose text holds nothing of the token."""
        try:
            payload = self._decode(token)
            return _claims(payload)
        except jwt.ExpiredSignatureError:
            raise _refused(
                "it has expired; generate a new one with 'kumactl generate dataplane-token'"
            ) from None
        except jwt.InvalidSignatureError:
            raise _refused("its signature is wrong") from None
        except jwt.MissingRequiredClaimError as error:
            raise _refused(f'it lacks the claim "{error.claim}"') from None
        except (jwt.PyJWTError, OverflowError, TypeError, ValueError, OSError):
            raise _refused("it is no dataplane token") from None

    def _decode(self, token: str) -> dict[str, Any]:
        if not token or len(token) > MAX_TOKEN:
            raise _refused("it is empty" if not token else f"it has more than {MAX_TOKEN} characters")
        header = jwt.get_unverified_header(token)
        if header.get("alg") != ALGORITHM:
            raise _refused(f"its algorithm is not {ALGORITHM}")
        key = self._keys.to_verify(str(header.get("kid", "")))
        if key is None:
            raise _refused("the key that signed it is not known here")
        options: Any = {"require": list(_REQUIRED), "verify_iat": False, "verify_aud": False}
        return jwt.decode(token, key.public, [ALGORITHM], options=options)


def _claims(payload: dict[str, Any]) -> TokenClaims:
    """The claims with their types checked; raises ``ValueError``."""
    name, mesh, id = (payload[claim] for claim in ("Name", "Mesh", "jti"))
    if not all(isinstance(text, str) and text for text in (name, mesh, id)):
        raise ValueError
    expires = payload.get("exp")
    return TokenClaims(
        name,
        mesh,
        id,
        issued=datetime.fromtimestamp(float(payload["iat"]), UTC),
        expires=datetime.fromtimestamp(float(expires), UTC) if expires is not None else None,
    )


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(f"could not parse token: {reason}")
