"""The bootstrap server (5682): tells a starting Envoy where its control plane is (data plane, 6.1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import falcon
import structlog

from kuma_core.api.exchange import read_body
from kuma_core.clocks import difference
from kuma_core.errors import InvalidResource, NotFound, Violation
from kuma_core.resources.codec import read_json

_log = structlog.get_logger("bootstrap-server")

MAX_BODY_BYTES = 64 * 1024
YAML = "text/x-yaml"
PATHS = ("dataplaneTokenPath", "accessLogPipe")


@dataclass(frozen=True, slots=True)
class BootstrapRequest:
    """Who is starting. ``admin_port`` 0: no admin interface, unless the configuration names one.

    ``token_path`` and ``log_pipe`` are paths as the proxy's Envoy sees them; empty: there is none.
    """

    mesh: str
    name: str
    admin_port: int = 0
    token_path: str = ""
    log_pipe: str = ""


class Bootstrap:
    """``/bootstrap``, by any method. ``make`` returns YAML text and raises ``NotFound``."""

    def __init__(self, make: Callable[[BootstrapRequest], str]) -> None:
        self._make = make

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The bootstrap configuration; 400 for a bad request, 404 for a Dataplane that does not exist."""
        req.context.title = "Could not generate a bootstrap configuration"
        request = parse_request(read_json(read_body(req, MAX_BODY_BYTES)))
        _look_at_clock(req, request)
        try:
            resp.text = self._make(request)
        except NotFound:
            missing = f'There is no Dataplane "{request.name}" in mesh "{request.mesh}"; apply it first'
            raise falcon.HTTPNotFound(title=req.context.title, description=missing) from None
        resp.content_type = YAML

    on_get = on_head = on_put = on_patch = on_delete = on_options = on_post


def _look_at_clock(req: falcon.Request, request: BootstrapRequest) -> None:
    """Warn of a machine that will not believe our certificates, or whose tokens we shall not believe."""
    clock = difference(req.get_header("Date"), time.time())
    if clock:
        proxy = f"{request.mesh}.{request.name}"
        _log.warning("the clock of a proxy's machine differs from ours", proxy=proxy, clock=clock)


def parse_request(body: Any) -> BootstrapRequest:
    """Read a request, unknown fields aside; raises ``InvalidResource`` with every field that is wrong."""
    problems = [
        Violation(field, "cannot be empty" if body.get(field) in (None, "") else "expected text")
        for field in ("mesh", "name")
        if not (isinstance(body.get(field), str) and body[field])
    ]
    port = body.get("adminPort") or 0
    if type(port) is not int or not 0 <= port <= 65535:
        problems.append(Violation("adminPort", "expected a port in the range [0, 65535]"))
    paths = [body.get(field) or "" for field in PATHS]
    problems += [
        Violation(field, "expected text")
        for field, path in zip(PATHS, paths, strict=True)
        if not isinstance(path, str)
    ]
    if problems:
        raise InvalidResource(problems, details="The request is not valid")
    return BootstrapRequest(body["mesh"], body["name"], port, *paths)
