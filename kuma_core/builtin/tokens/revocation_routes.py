"""``/tokens/revocations``: tokens that control planes refuse although nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import falcon
import structlog

from kuma_core.api.audit import wrote
from kuma_core.api.exchange import answer_json, answer_list, read_body
from kuma_core.builtin.tokens.revocations import Revocation, Revocations
from kuma_core.builtin.tokens.tokens import MAX_TOKEN, Refused, TokenVerifier
from kuma_core.builtin.tokens.user_tokens import UserTokenVerifier, tell_revoked
from kuma_core.errors import InvalidResource, MalformedResource, Violation
from kuma_core.resources.codec import read_json

_log = structlog.get_logger("dataplane-tokens")

MAX_BODY_BYTES = MAX_TOKEN + 4 * 1024


class RevokedTokens:
    """Revokes tokens, by the token itself or by its id, and lists the ids."""

    def __init__(self, revocations: Revocations, verifier: TokenVerifier, users: UserTokenVerifier) -> None:
        self._revocations = revocations
        self._verifier, self._users = verifier, users

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Every revoked id that is still needed; no token, for none is kept."""
        req.context.title = "Could not list the revoked tokens"
        answer_list(resp, [_shown(entry) for entry in self._revocations.all()])

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Revoke a token; doing it again changes nothing. 400 for what is no token of ours."""
        req.context.title = "Could not revoke the token"
        body = read_json(read_body(req, MAX_BODY_BYTES))
        revocation, told = self._by_token(body) if _token_is_given(body) else (_by_id(body), {})
        is_new = self._revocations.revoke(revocation)
        result = "revoked" if is_new else "unchanged"
        of_user = "user" in told
        about = {"name": told["user"]} if of_user else told
        wrote(req, result, kind=f"{'user' if of_user else 'dataplane'} token", id=revocation.id, **about)
        if of_user:
            tell_revoked(revocation.id, told["user"], result)
        else:
            _log.info("a dataplane token is revoked", token=revocation.id, result=result, **told)
        answer_json(resp, {**_shown(revocation), **told, "result": result})

    def _by_token(self, body: Mapping[str, Any]) -> tuple[Revocation, dict[str, str]]:
        """The token need not be good any more, but it must be one that we have signed."""
        with suppress(Refused):
            user = self._users.genuine(body["token"])
            return Revocation(user.claims.id, user.claims.expires, user.key.serial), {
                "user": user.claims.name
            }
        try:
            genuine = self._verifier.genuine(body["token"])
        except Refused as error:
            said = f"is none of ours, so that nobody believes it anyway: {error.reason}"
            raise InvalidResource([Violation("token", said)]) from None
        claims = genuine.claims
        told = {"mesh": claims.mesh, **({"name": claims.name} if claims.name else {})}
        return Revocation(claims.id, claims.expires, genuine.key.serial), told


def _shown(entry: Revocation) -> dict[str, Any]:
    ends = {} if entry.expires is None else {"expires": entry.expires.isoformat().replace("+00:00", "Z")}
    return {"id": entry.id, **ends}


def _token_is_given(body: Mapping[str, Any]) -> bool:
    """Whether the token is given and not its id; raises ``MalformedResource`` for neither, both, and no text."""
    given = [field for field in ("token", "id") if body.get(field) is not None]
    if len(given) != 1:
        said = "give either the token, or its id"
        raise MalformedResource([Violation("token", said)], details=said)
    if not isinstance(body[given[0]], str):
        raise MalformedResource([Violation(given[0], "expected text")], details="expected text")
    return given == ["token"]


def _by_id(body: Mapping[str, Any]) -> Revocation:
    """Without ``expires`` the token counts as one that lasts for ever."""
    said = body.get("expires")
    if said is None:
        return Revocation(body["id"])
    try:
        expires = datetime.fromisoformat(said)
        if expires.tzinfo is None:
            raise ValueError
        return Revocation(body["id"], expires.astimezone(UTC))
    except (TypeError, ValueError, OverflowError):
        text = "expected a time with its zone, such as 2030-01-31T12:00:00Z"
        raise InvalidResource([Violation("expires", text)]) from None
