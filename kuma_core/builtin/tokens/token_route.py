"""``POST /tokens``: a token with which a dataplane proves who it is."""

from __future__ import annotations

from typing import Any

import falcon

from kuma_core.api.audit import about, wrote
from kuma_core.api.exchange import read_body
from kuma_core.builtin.tokens.tokens import TokenIssuer
from kuma_core.durations import parse_duration
from kuma_core.errors import InvalidResource, Violation
from kuma_core.resources.codec import read_json

MAX_BODY_BYTES = 16 * 1024


class Tokens:
    """Issues tokens. Neither the dataplane nor its mesh has to exist yet."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self._issuer = issuer

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The raw token, without a newline; 400 for a bad request."""
        req.context.title = "Invalid request"
        name, mesh, valid_for = parse_request(read_json(read_body(req, MAX_BODY_BYTES)))
        about(req, "dataplane token", mesh, name)
        req.context.title = "Could not issue a token"
        resp.text = self._issuer.issue(name, mesh, valid_for)
        wrote(req, "issued")
        resp.content_type = falcon.MEDIA_TEXT
        resp.cache_control = ["no-store"]


def parse_request(body: Any) -> tuple[str, str, int | None]:
    """Name, mesh and ``validFor`` in nanoseconds; raises ``InvalidResource`` with every field that is wrong."""
    problems = [
        Violation(field, "cannot be empty" if body.get(field) in (None, "") else "expected text")
        for field in ("name", "mesh")
        if not (isinstance(body.get(field), str) and body[field])
    ]
    valid_for = body.get("validFor")
    nanoseconds = None
    if valid_for not in (None, ""):
        try:
            nanoseconds = _duration(valid_for)
        except ValueError as error:
            problems.append(Violation("validFor", str(error)))
    if problems:
        raise InvalidResource(problems)
    return body["name"], body["mesh"], nanoseconds


def _duration(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("expected a duration in quotes, such as 24h")
    nanoseconds = parse_duration(value)
    if nanoseconds <= 0:
        raise ValueError("must be longer than nothing")
    return nanoseconds
