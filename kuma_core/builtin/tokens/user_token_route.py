"""``POST /tokens/user``: a token with which a user proves to a control plane who they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import falcon

from kuma_core.api.audit import about, wrote
from kuma_core.api.exchange import read_body
from kuma_core.auth.contract import ADMINS, READERS
from kuma_core.builtin.tokens.token_route import duration
from kuma_core.builtin.tokens.user_tokens import UserTokenIssuer
from kuma_core.durations import HOUR
from kuma_core.errors import InvalidResource, Violation
from kuma_core.resources.codec import read_json

MAX_BODY_BYTES = 64 * 1024
MOST_GROUPS = 100
LONGEST = 10 * 365 * 24 * HOUR
"""Nanoseconds: a token that nobody remembers is not to be good for ever."""

_WORD = re.compile(r"[A-Za-z0-9._@:/+-]{1,253}")
_OWN = "kuma:"


class UserTokensRoute:
    """Issues tokens; the groups need not mean anything yet."""

    def __init__(self, issuer: UserTokenIssuer) -> None:
        self._issuer = issuer

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The raw token, without a newline; 400 for a bad request."""
        req.context.title = "Invalid request"
        name, groups, valid_for = parse_request(read_json(read_body(req, MAX_BODY_BYTES)))
        about(req, "user token", "", name)
        req.context.title = "Could not issue a token"
        token, id = self._issuer.issue(name, groups, valid_for)
        wrote(req, "issued", kind="user token", name=name, groups=sorted(groups), id=id)
        resp.text = token
        resp.content_type = falcon.MEDIA_TEXT
        resp.cache_control = ["no-store"]


def parse_request(body: Any) -> tuple[str, frozenset[str], int]:
    """Name, groups and ``validFor`` in nanoseconds; raises ``InvalidResource`` with every field that is wrong."""
    name, groups, nanoseconds = body.get("name"), body.get("groups"), 0
    problems = [] if _is_word(name) else [Violation("name", _EXPECTED)]
    groups = [] if groups is None else groups
    problems += list(_wrong_groups(groups))
    try:
        nanoseconds = duration(body.get("validFor"))
        if nanoseconds > LONGEST:
            problems.append(Violation("validFor", f"must be at most {LONGEST // HOUR}h, which is ten years"))
    except ValueError as error:
        problems.append(Violation("validFor", f"{error}; each user's token ends"))
    if problems:
        raise InvalidResource(problems)
    return name, frozenset(groups), nanoseconds


_EXPECTED = "expected 1 to 253 letters, digits or . _ @ : / + -"


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value))


def _wrong_groups(groups: Any) -> Iterator[Violation]:
    if not isinstance(groups, list) or len(groups) > MOST_GROUPS:
        yield Violation("groups", f"expected a list of at most {MOST_GROUPS} texts")
        return
    for index, group in enumerate(groups):
        if not _is_word(group):
            yield Violation(f"groups[{index}]", _EXPECTED)
        elif group.startswith(_OWN) and group not in (ADMINS, READERS):
            yield Violation(
                f"groups[{index}]", f"of the groups {_OWN}… there are {ADMINS} and {READERS} alone"
            )
