"""Dataplane tokens: signed JWTs that say which dataplane of which mesh somebody is, or what such a one may be."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import jwt
import structlog

from kuma_core.auth.contract import Proof, Tags, Unauthenticated
from kuma_core.builtin.tokens.binding import claims_of, misfit, read_binding
from kuma_core.builtin.tokens.contract import NOTHING, Binding, TokenClaims
from kuma_core.builtin.tokens.keys import Key, SigningKeys
from kuma_core.builtin.tokens.revocations import Revocations
from kuma_core.durations import SECOND
from kuma_core.lifecycle import Stop
from kuma_core.xds.proxy import Proxy

_log = structlog.get_logger("dataplane-tokens")

ALGORITHM = "RS256"
MAX_TOKEN = 64 * 1024
"""As much as kuma-dp takes."""

RETRY_SECONDS = 2.0
"""How long to wait before we read again after the store failed to answer to a hint."""

_ANOTHER = "generate a new one with 'kumactl generate dataplane-token'"
_FITTING = (
    "change the Dataplane, or generate a token that fits ('kumactl generate dataplane-token --service')"
)
_UNKNOWN_KEY = "the key that signed it is not known here"
_OPTIONS: Any = {
    "require": ["Mesh", "iat", "jti"],
    "verify_aud": False,
    "verify_exp": False,  # ours to do: a token that has expired can still be revoked
    "verify_iat": False,
}


class Refused(Unauthenticated):
    """Why we refuse a token, and what to do about it. Neither holds anything of the token."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"could not parse token: {reason}" + (f"; {remedy}" if remedy else ""))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Genuine:
    """A token that we have signed: what it says, and with which key."""

    claims: TokenClaims
    key: Key


class TokenIssuer:
    """Signs tokens with the newest key."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    def issue(self, name: str, mesh: str, valid_for: int | None = None, binding: Binding = NOTHING) -> str:
        """A token for a dataplane, which need not exist yet; ``valid_for`` in nanoseconds, or for ever.

        Without a name it is for every dataplane of the mesh that fits the ``binding``. Raises ``KumaError`` if there is
        no key, ``StoreUnavailable`` if it cannot be read.
        """
        assert name or binding
        key = self._keys.to_sign()
        now = int(datetime.now(UTC).timestamp())
        claims: dict[str, Any] = {"Name": name} if name else {}
        claims |= {"Mesh": mesh, "iat": now, "jti": str(uuid.uuid4()), **claims_of(binding)}
        if valid_for is not None:
            # Rounded up: claims have whole seconds, and a token that ends at once would be of no use.
            claims["exp"] = now + max(1, -(-valid_for // SECOND))
        _log.info(
            "a dataplane token is issued",
            token=claims["jti"],
            mesh=mesh[:200],
            name=name[:200],
            key=key.id,
            **({"services": ", ".join(binding.services)[:500]} if binding.services else {}),
            **({"tags": ", ".join(tag for tag, _ in binding.tags)[:500]} if binding.tags else {}),
        )
        return jwt.encode(claims, key.private, ALGORITHM, headers={"kid": key.id})


@dataclass(frozen=True, slots=True)
class TokenClaim:
    """A token is good for the one dataplane that it names, which need not exist yet, or for those with its tags."""

    claims: TokenClaims
    proof: Proof

    def allows(self, proxy: Proxy, tags: Tags) -> None:
        """Raises ``Unauthenticated`` for any other dataplane, and for one whose tags the token does not allow.

        The tags are asked for only if the token says something of them; so a token with a name alone is good for a
        dataplane that is not there yet.
        """
        for what, said, signed in (
            ("name", proxy.name, self.claims.name),
            ("mesh", proxy.mesh, self.claims.mesh),
        ):
            if signed and said != signed:
                raise Unauthenticated(
                    f"proxy {what} from requestor: {said} is different than in token: {signed}"
                )
        if self.claims.binding and (problem := misfit(self.claims.binding, tags())):
            raise Unauthenticated(f"the token is not for the Dataplane {proxy}: {problem}; {_FITTING}")


class TokenVerifier:
    """Believes a token that a known key has signed, has not expired and was not revoked.

    A ``WatchedProxyAuthenticator``.
    """

    def __init__(self, keys: SigningKeys, revocations: Revocations) -> None:
        self._keys, self._revocations = keys, revocations
        self._hinted = threading.Event()
        self._hinted.set()
        for memory in (keys.memory, revocations.memory):
            memory.listen(self._hinted.set)

    def recognise(self, credential: str) -> TokenClaim:
        """Return for which dataplane the token is good; raises ``Refused``."""
        genuine = self.genuine(credential)
        self._require_good(genuine)
        claims = genuine.claims
        proof = Proof(claims.id, claims.expires, partial(self._confirm, claims.id, genuine.key.id))
        return TokenClaim(claims, proof)

    def verify(self, token: str) -> TokenClaims:
        """What a good token says; raises ``Refused``."""
        genuine = self.genuine(token)
        self._require_good(genuine)
        return genuine.claims

    def genuine(self, token: str) -> Genuine:
        """What a token says that we have signed, be it over or not; raises ``Refused``."""
        try:
            key = key_of(self._keys, token, _ANOTHER)
            return Genuine(_claims(jwt.decode(token, key.public, [ALGORITHM], options=_OPTIONS)), key)
        except jwt.InvalidSignatureError:
            raise Refused("its signature is wrong", _ANOTHER) from None
        except jwt.MissingRequiredClaimError as error:
            raise Refused(f'it lacks the claim "{error.claim}"', _ANOTHER) from None
        except (jwt.PyJWTError, OverflowError, TypeError, ValueError, OSError):
            raise Refused("it is no dataplane token", _ANOTHER) from None

    def watch(self, changed: Callable[[], None], stop: Stop) -> None:
        """Read what the store hints at, and then call ``changed``."""
        stop.on_set(self._hinted.set)
        caught_up = True
        while True:
            self._hinted.wait(None if caught_up else RETRY_SECONDS)
            self._hinted.clear()
            if stop.is_set():
                return
            keys, revocations = self._keys.memory.catch_up(), self._revocations.memory.catch_up()
            caught_up = keys and revocations
            changed()

    def _require_good(self, genuine: Genuine) -> None:
        claims = genuine.claims
        if claims.expires is not None and claims.expires <= datetime.now(UTC):
            raise Refused("it has expired", _ANOTHER)
        if claims.id in self._revocations:
            raise Refused("it was revoked", _ANOTHER)

    def _confirm(self, id: str, key_id: str) -> None:
        """For a stream that was let in; when its token expires is known to whoever serves it."""
        if self._keys.known(key_id) is None:
            raise Refused(_UNKNOWN_KEY, _ANOTHER)
        if id in self._revocations:
            raise Refused("it was revoked", _ANOTHER)


def key_of(keys: SigningKeys, token: str, another: str) -> Key:
    """The key that a token says to be signed with; raises ``Refused``, or what ``jwt`` raises for what is no token."""
    if not token or len(token) > MAX_TOKEN:
        raise Refused("it is empty" if not token else f"it has more than {MAX_TOKEN} characters")
    header = jwt.get_unverified_header(token)
    if header.get("alg") != ALGORITHM:
        raise Refused(f"its algorithm is not {ALGORITHM}", another)
    key = keys.to_verify(str(header.get("kid", "")))
    if key is None:
        raise Refused(_UNKNOWN_KEY, another)
    return key


def _claims(payload: dict[str, Any]) -> TokenClaims:
    """The claims with their types checked; raises ``ValueError``, also for the token of a user."""
    if "aud" in payload:
        raise ValueError
    binding = read_binding(payload.get("Services"), payload.get("Tags"))
    if "Name" not in payload and not binding:
        raise jwt.MissingRequiredClaimError("Name")
    name, mesh, id = payload.get("Name"), payload["Mesh"], payload["jti"]
    if not all(isinstance(text, str) and text for text in (mesh, id, "-" if name is None else name)):
        raise ValueError
    expires = payload.get("exp")
    return TokenClaims(
        name or "",
        mesh,
        id,
        issued=datetime.fromtimestamp(float(payload["iat"]), UTC),
        expires=datetime.fromtimestamp(float(expires), UTC) if expires is not None else None,
        binding=binding,
    )
