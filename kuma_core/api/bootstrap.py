"""The bootstrap server (5682): tells a starting Envoy where its control plane is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import falcon
import structlog

from kuma_core import log_pipe
from kuma_core.api.exchange import read_body
from kuma_core.clocks import difference
from kuma_core.errors import InvalidResource, NotFound, Violation
from kuma_core.resources.codec import read_json

_log = structlog.get_logger("bootstrap-server")

MAX_BODY_BYTES = 64 * 1024
YAML = "text/x-yaml"
PATHS = ("dataplaneTokenPath", "accessLogPipe")
FLAGS = ("accessLogFiles", "ipv6", "tellsServing")


@dataclass(frozen=True, slots=True)
class BootstrapRequest:
    """Who is starting. ``admin_ports`` are those that its admin interface may have, the best first; without any it
    has one only if the configuration names one.

    ``token_path`` and ``log_pipe`` are paths as the proxy's Envoy sees them; empty: there is none. With ``log_files``
    what comes out of the pipe is also written into files. ``ipv6``: the proxy can listen on ::1.
    ``tells_serving``: somebody tells when the instance serves and when it leaves, so that nobody has to guess.
    """

    mesh: str
    name: str
    admin_ports: tuple[int, ...] = ()
    token_path: str = ""
    log_pipe: str = ""
    log_files: bool = False
    ipv6: bool = False
    tells_serving: bool = False


class Bootstrap:
    """``/bootstrap``, by any method. ``make`` returns YAML text and raises ``NotFound``; ``clock`` hears how far the
    clock of each proxy's machine is from ours, ``""`` if that does not matter. kuma-dp is told to keep the files of
    access logs below ``log_directory``, if it is not empty."""

    def __init__(
        self,
        make: Callable[[BootstrapRequest], str],
        clock: Callable[[BootstrapRequest, str], None] = lambda request, difference: None,
        log_directory: str = "",
    ) -> None:
        self._make, self._clock, self._log_directory = make, clock, log_directory

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The bootstrap configuration; 400 for a bad request, 404 for a Dataplane that does not exist."""
        req.context.title = "Could not generate a bootstrap configuration"
        request = parse_request(read_json(read_body(req, MAX_BODY_BYTES)))
        try:
            resp.text = self._make(request)
        except NotFound:
            missing = f'There is no Dataplane "{request.name}" in mesh "{request.mesh}"; apply it first'
            raise falcon.HTTPNotFound(title=req.context.title, description=missing) from None
        resp.content_type = YAML
        if self._log_directory:
            resp.set_header(log_pipe.DIRECTORY_HEADER, quote(self._log_directory))
        self._clock(request, _look_at_clock(req, request))

    on_get = on_head = on_put = on_patch = on_delete = on_options = on_post


def _look_at_clock(req: falcon.Request, request: BootstrapRequest) -> str:
    """Warn of a machine that will not believe our certificates, or whose tokens we shall not believe."""
    clock = difference(req.get_header("Date"), time.time())
    if clock:
        proxy = f"{request.mesh}.{request.name}"
        _log.warning("the clock of a proxy's machine differs from ours", proxy=proxy, clock=clock)
    return clock


def parse_request(body: Any) -> BootstrapRequest:
    """Read a request, unknown fields aside; raises ``InvalidResource`` with every field that is wrong."""
    problems = [
        Violation(field, "cannot be empty" if body.get(field) in (None, "") else "expected text")
        for field in ("mesh", "name")
        if not (isinstance(body.get(field), str) and body[field])
    ]
    port, more = body.get("adminPort") or 0, body.get("adminPorts") or []
    if not _is_port(port):
        problems.append(Violation("adminPort", "expected a port in the range [0, 65535]"))
    if not isinstance(more, list) or not all(map(_is_port, more)):
        problems.append(Violation("adminPorts", "expected a list of ports in the range [0, 65535]"))
    paths = [body.get(field) or "" for field in PATHS]
    problems += [
        Violation(field, "expected text")
        for field, path in zip(PATHS, paths, strict=True)
        if not isinstance(path, str)
    ]
    flags = [body.get(field) or False for field in FLAGS]
    problems += [
        Violation(field, "expected true or false")
        for field, flag in zip(FLAGS, flags, strict=True)
        if not isinstance(flag, bool)
    ]
    if problems:
        raise InvalidResource(problems, details="The request is not valid")
    wanted = dict.fromkeys(item for item in (port, *more) if item)
    token_path, log_pipe = paths
    return BootstrapRequest(body["mesh"], body["name"], tuple(wanted), token_path, log_pipe, *flags)


def _is_port(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 65535
