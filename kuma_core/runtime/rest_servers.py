"""The servers of the REST API: over HTTP, and over HTTPS for users of other machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kuma_core.api.app import build_app
from kuma_core.api.audit import Audit
from kuma_core.api.audit_ring import AuditRing
from kuma_core.api.confidential import without_secrets
from kuma_core.api.contract import Route
from kuma_core.api.cors import Cors
from kuma_core.api.pages import KnownHosts, known_hosts
from kuma_core.api.unknown_paths import Hints
from kuma_core.auth.access import AccessControl
from kuma_core.auth.users import LOCAL_IS_ADMIN, MODE, OPEN
from kuma_core.config import Config
from kuma_core.histogram import Histogram
from kuma_core.plugin.contract import EVERYTHING, TO_READ, Access, Body, Port, WsgiServer
from kuma_core.runtime.https import LateCertificate

API_HINT = "GET /kinds lists the collections that there are"
HTTPS = "apiServer.https"
PUBLIC_THINGS = "what is public"


@dataclass(frozen=True, slots=True)
class Shared:
    """What every HTTP server of the kernel is made with. ``times`` is what requests are counted in."""

    config: Config
    access: AccessControl
    ring: AuditRing
    times: Histogram

    def readable(self) -> Access:
        """What a server gives to strangers, by the mode, and to web pages of another origin."""
        strangers = {OPEN: EVERYTHING, LOCAL_IS_ADMIN: TO_READ}.get(self.config.text(MODE), PUBLIC_THINGS)
        return Access(strangers, TO_READ)

    def asks_for(self) -> str:
        """What a client has to show to do everything."""
        how = "a user's token"
        return {OPEN: "nothing", LOCAL_IS_ADMIN: f"{how}, from other machines"}.get(
            self.config.text(MODE), how
        )


def api_server(shared: Shared, routes: Iterable[Route]) -> WsgiServer:
    """The REST API over HTTP."""
    config = shared.config
    app, body = _app(shared, list(routes))
    port = Port("apiServer.port", config.text("apiServer.interface"))
    return WsgiServer("api-server", port, app, body=body, access=shared.readable(), asks_for=shared.asks_for)


def https_server(
    shared: Shared, routes: Iterable[Route], admin_routes: Iterable[Route], tls: LateCertificate
) -> WsgiServer:
    """The same over HTTPS, and with it the admin API, so that a user of another machine needs no other way in; secrets
    do not leave here."""
    config = shared.config
    ways = (
        "Secrets leave only over the Unix socket, or by the admin server over HTTPS with a client certificate "
        "(adminServer.public)"
    )
    app, body = _app(shared, [*routes, *without_secrets(admin_routes, ways)])
    port = Port(f"{HTTPS}.port", config.text("apiServer.interface"))
    asked = f"{shared.asks_for()}, or a client certificate"
    return WsgiServer(
        "api-server-https", port, app, tls.context, lambda: asked, body, access=shared.readable()
    )


def _app(shared: Shared, routes: list[Route]) -> tuple[Callable[..., Any], Body]:
    config = shared.config
    hints = Hints((route.template for route in routes), API_HINT)
    cors = Cors(config.texts("apiServer.corsAllowedDomains"))
    app = build_app(
        routes,
        Audit(shared.ring),
        KnownHosts(known_hosts(config)),
        cors,
        access=shared.access,
        is_foreign=cors.is_stranger,
        hint=hints,
        times=shared.times,
    )
    body = Body(max(config.number("apiServer.maxBodyBytes"), Body().most_bytes), "apiServer.maxBodyBytes")
    return app, body


def certificate(config: Config) -> LateCertificate:
    """The TLS of the REST API: it trusts the clients that it is told of, else those that the admin server trusts.

    Raises ``ConfigError``.
    """
    folder, setting = config.text(f"{HTTPS}.clientCertsDir"), f"{HTTPS}.clientCertsDir"
    if not folder and config.flag("adminServer.public.enabled"):
        setting = "adminServer.public.clientCertsDir"
        folder = config.text(setting)
    return LateCertificate(folder, setting)
