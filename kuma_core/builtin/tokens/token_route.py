"""``POST /tokens``: a token with which a dataplane proves who it is, and what it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import falcon

from kuma_core.api.audit import about, wrote
from kuma_core.api.exchange import read_body
from kuma_core.api.rights import visit_of
from kuma_core.auth.contract import ADMINS, Verb
from kuma_core.builtin.tokens.binding import SERVICE, problems_of, read_binding, tag_sets_of
from kuma_core.builtin.tokens.contract import Binding
from kuma_core.builtin.tokens.tokens import TokenIssuer
from kuma_core.durations import parse_duration
from kuma_core.errors import InvalidResource, Violation
from kuma_core.resources.codec import read_json
from kuma_core.specs.dataplane import DATAPLANE

MAX_BODY_BYTES = 16 * 1024


REQUIRED = (
    "adminServer.apis.dataplaneToken.requireServices asks that a token says for which services a proxy may speak: "
    "give --service to kumactl, or services to the REST API"
)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Who asks for what. ``valid_for`` is in nanoseconds, ``None`` for ever; no ``name`` is any that fits."""

    name: str
    mesh: str
    valid_for: int | None
    binding: Binding

    @property
    def told(self) -> str:
        """For the audit line: the dataplane, or the services and tags."""
        bound = [*self.binding.services, *(f"{tag}=…" for tag, _ in self.binding.tags)]
        return self.name or ", ".join(bound)[:200]


class Tokens:
    """Issues tokens. Neither the dataplane nor its mesh has to exist yet."""

    def __init__(self, issuer: TokenIssuer, require_services: bool = False) -> None:
        self._issuer, self._require_services = issuer, require_services

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The raw token, without a newline; 400 for a bad request."""
        req.context.title = "Invalid request"
        asked = parse_request(read_json(read_body(req, MAX_BODY_BYTES)))
        about(req, "dataplane token", asked.mesh, asked.told)
        if self._require_services and not _says_services(asked.binding):
            raise InvalidResource([Violation("services", REQUIRED)])
        _require_right(req, asked)
        req.context.title = "Could not issue a token"
        resp.text = self._issuer.issue(asked.name, asked.mesh, asked.valid_for, asked.binding)
        wrote(req, "issued")
        resp.content_type = falcon.MEDIA_TEXT
        resp.cache_control = ["no-store"]


def _require_right(req: falcon.Request, asked: TokenRequest) -> None:
    """Go on if the user may speak for every service for which the token would be good; else raise the refusal."""
    visit = visit_of(req)
    sets = () if ADMINS in visit.user.groups else tag_sets_of(asked.binding)
    visit.require(Verb.GENERATE_TOKEN, DATAPLANE, asked.mesh, asked.name, sets)


def _says_services(binding: Binding) -> bool:
    return bool(binding.services) or any(tag == SERVICE for tag, _ in binding.tags)


def parse_request(body: Any) -> TokenRequest:
    """Raises ``InvalidResource`` with every field that is wrong. A name may be left out for services, or tags."""
    services, tags = body.get("services"), body.get("tags")
    needed = [field for field in ("name", "mesh") if field != "name" or not (services or tags)]
    problems = [
        Violation(field, "cannot be empty" if body.get(field) in (None, "") else "expected text")
        for field in ("name", "mesh")
        if (field in needed or body.get(field) not in (None, ""))
        and not (isinstance(body.get(field), str) and body[field])
    ]
    problems += problems_of(services, tags)
    valid_for = body.get("validFor")
    nanoseconds = None
    if valid_for not in (None, ""):
        try:
            nanoseconds = duration(valid_for)
        except ValueError as error:
            problems.append(Violation("validFor", str(error)))
    if problems:
        raise InvalidResource(problems)
    return TokenRequest(body.get("name") or "", body["mesh"], nanoseconds, read_binding(services, tags))


def duration(value: Any) -> int:
    """A duration in nanoseconds; raises ``ValueError``."""
    if not isinstance(value, str):
        raise ValueError("expected a duration in quotes, such as 24h")
    nanoseconds = parse_duration(value)
    if nanoseconds <= 0:
        raise ValueError("must be longer than nothing")
    return nanoseconds
