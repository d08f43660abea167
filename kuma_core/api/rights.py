"""Who asks, and whether they may: each request is looked at by the class of its route before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import falcon

from kuma_core.api import audit
from kuma_core.api.contract import Route
from kuma_core.auth.access import AccessControl
from kuma_core.auth.contract import ADMINS, NOBODY, Asked, Decision, Right, Unauthenticated, User, Verb
from kuma_core.auth.users import LOCAL_IS_ADMIN, MODE, Caller, passed_on
from kuma_core.specs.tags import TagPairs

TITLE = "Access denied"
SETTING = f"{MODE} (KUMA_API_SERVER_AUTH_MODE)"
CHALLENGE = ["Bearer"]
READS = audit.READS

A_TOKEN = (
    "show a user's token: an admin makes one with `kumactl generate user-token`, and kumactl shows it after "
    "`kumactl config control-planes add --auth-type=token`"
)
THE_SOCKET = (
    "use the admin server: its Unix socket on the control plane's machine, or HTTPS with a client certificate"
)
OVER_LOOPBACK = "ask on the control plane's machine itself, over loopback"

IsForeign = Callable[[falcon.Request], bool]
"""Whether a web page of another origin asks, that nobody allowed to write."""


def nobody_is_foreign(req: falcon.Request) -> bool:
    """For servers that no page of another origin gets into."""
    return False


class Visit:
    """One request: who asks, and what they may do. It looks at credentials once somebody wants to know."""

    def __init__(self, access: AccessControl, req: falcon.Request, is_foreign: IsForeign) -> None:
        self._access, self._req, self._is_foreign = access, req, is_foreign
        self._user: User | None = None

    @property
    def user(self) -> User:
        """Who asks; raises 401 for a token that is good for nothing."""
        if self._user is None:
            try:
                self._user = self._access.users.who(caller_of(self._req, self._is_foreign(self._req)))
            except Unauthenticated as error:
                self._tell_denied("", str(error))
                raise falcon.HTTPUnauthorized(
                    title=TITLE, description=str(error), challenges=CHALLENGE
                ) from None
        return self._user

    @property
    def known(self) -> User | None:
        """Who asks, if anybody wanted to know."""
        return self._user

    def decide(self, right: Right, asked: Asked) -> Decision:
        """Whether somebody, such as the ``user``, may do something at a route of a class."""
        return self._access.authorizer.decide(right, asked)

    def wrote(self, kind: str) -> None:
        """Resources of a kind are others now."""
        self._access.authorizer.wrote(kind)

    def require(
        self,
        verb: Verb,
        kind: str = "",
        mesh: str = "",
        name: str = "",
        tag_sets: tuple[TagPairs, ...] = (),
        right: Right = Right.ADMIN,
    ) -> None:
        """Go on if the user may do this; else raise the refusal, which says what is missing and what helps."""
        asked = Asked(self.user, verb, kind, mesh, name, tag_sets)
        decision = self.decide(right, asked)
        if not decision.allowed:
            raise self._refusal(asked, decision, right)
        self._req.context.binding = decision.why

    def leave_to_responder(self, verb: Verb, kind: str, mesh: str, name: str) -> None:
        """Refuse at once whom nothing that the responder finds out could help."""
        decides = self._access.authorizer.has_policy and self.user.by != NOBODY
        if decides or ADMINS in self.user.groups:
            return
        self.require(verb, kind, mesh, name)

    def _refusal(self, asked: Asked, decision: Decision, right: Right) -> falcon.HTTPError:
        user, what = asked.user, _what(asked)
        self._tell_denied(what, decision.why)
        ways = "; or ".join([*decision.ways, *self._ways(user)])
        said = (
            f"{_who(user, self._req)} may not {what}, for which the right of {_missing(right)} is missing: "
        )
        said = f"{said}{decision.why}. What helps: {ways}"
        if user.by == NOBODY:
            return falcon.HTTPUnauthorized(title=TITLE, description=said, challenges=CHALLENGE)
        return falcon.HTTPForbidden(title=TITLE, description=said)

    def _ways(self, user: User) -> list[str]:
        """What the kernel knows to help."""
        if user.by != NOBODY:
            return ["show the token of a user who may"]
        ways = [A_TOKEN, THE_SOCKET]
        if self._access.users.mode == LOCAL_IS_ADMIN:
            ways[1:1] = [OVER_LOOPBACK]
        return [*ways, f"change {SETTING}, which is {self._access.users.mode}"]

    def _tell_denied(self, what: str, why: str) -> None:
        audit.denied(self._req, what, why)


class Rights:
    """Middleware behind all that knows web pages: lets nobody ask what they may not.

    ``is_foreign`` tells of pages that may read only as strangers do.
    """

    def __init__(
        self, access: AccessControl, routes: Iterable[Route], is_foreign: IsForeign = nobody_is_foreign
    ) -> None:
        self._access, self._is_foreign = access, is_foreign
        self._routes = {route.template: route for route in routes}

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Begin the visit; nobody is asked for anything yet."""
        req.context.visit = Visit(self._access, req, self._is_foreign)

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: dict[str, Any]
    ) -> None:
        """Falcon found the route: look at its class."""
        route = self._routes[req.uri_template or ""]
        reads = req.method in READS
        right = right_of(route, reads)
        if right is Right.PUBLIC:
            return
        visit = visit_of(req)
        verb, kind, mesh, name = asked_of(route, req.method, params, right)
        if route.decides and not reads:
            visit.leave_to_responder(verb, kind, mesh, name)
        else:
            visit.require(verb, kind, mesh, name, right=right)


def visit_of(req: falcon.Request) -> Visit:
    """Who asks in this request, and what they may do."""
    visit: Visit = req.context.visit
    return visit


def right_of(route: Route, reads: bool) -> Right:
    """The class of a route for requests that read, or for the others: admins alone where it says nothing."""
    if route.right is None:
        return Right.ADMIN
    return route.right if reads else route.writes


def asked_of(route: Route, method: str, params: dict[str, Any], right: Right) -> tuple[Verb, str, str, str]:
    """What a request wants: the verb, and the kind, mesh and name that it is about."""
    mesh = str(params.get("mesh", ""))
    if not route.kind:
        verb = Verb.READ if right is Right.READER else Verb.ADMIN
        return verb, "", mesh, route.template
    is_item = route.template.endswith("}")
    name = str(params.get("name", mesh)) if is_item else ""
    if not route.template.startswith("/meshes/{mesh}/"):
        mesh = ""
    if method == "DELETE":
        return Verb.DELETE, route.kind, mesh, name
    if method not in READS:
        return Verb.PUT, route.kind, mesh, name
    return (Verb.GET if is_item else Verb.LIST), route.kind, mesh, name


def caller_of(req: falcon.Request, foreign_page: bool = False) -> Caller:
    """What a request tells of who asks."""
    return Caller(
        req.remote_addr,
        req.get_header("Authorization") or "",
        audit.certificate_of(req),
        passed_on(req.headers),
        foreign_page,
    )


def _who(user: User, req: falcon.Request) -> str:
    address = req.remote_addr[:100]
    if user.by != NOBODY:
        return f'User "{user.name:.100}" (by {user.by}, from {address})'
    through = ", by way of something in between" if passed_on(req.headers) else ""
    return f"Nobody in particular (from {address}{through})"


def _what(asked: Asked) -> str:
    if not asked.kind:
        return f"{asked.verb.value} {asked.name}" + (f" of mesh {asked.mesh!r:.100}" if asked.mesh else "")
    of = f" in mesh {asked.mesh!r:.100}" if asked.mesh else ""
    return f"{asked.verb.value} {asked.kind}" + (f" {asked.name!r:.100}" if asked.name else "") + of


def _missing(right: Right) -> str:
    return "an admin" if right is Right.ADMIN else "a reader"
