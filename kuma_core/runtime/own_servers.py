"""The HTTP servers of the kernel itself: REST, the admin API, the bootstrap and the diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kuma_core.api import diagnostics
from kuma_core.api.app import build_app
from kuma_core.api.bootstrap import Bootstrap
from kuma_core.api.closed import Closed
from kuma_core.api.contract import Route
from kuma_core.api.cors import Cors
from kuma_core.api.pages import KnownHosts, NoPages
from kuma_core.api.unknown_paths import Hints
from kuma_core.config import Config
from kuma_core.plugin.contract import EVERYTHING, NOTHING, Access, Body, Port, WsgiServer
from kuma_core.runtime.https import server_context

API_HINT = "GET /kinds lists the collections that there are"
LOCAL, PUBLIC = "adminServer.local", "adminServer.public"
LOOPBACK = "127.0.0.1"
ARCHIVES = Body(48 * 1024 * 1024)
"""An import of secrets may be as large."""
UNREADABLE = Access(web_pages=NOTHING)
"""Browsers keep answers from pages that no CORS header allows, and requests change nothing here."""
SMALL = Body(64 * 1024)
PROBES = HEALTHY, READY = "/healthy", "/ready"


def api_server(config: Config, routes: Iterable[Route]) -> WsgiServer:
    """The REST API."""
    routes = list(routes)
    hints = Hints((route.template for route in routes), API_HINT)
    cors = Cors(config.texts("apiServer.corsAllowedDomains"))
    port = Port("apiServer.port", config.text("apiServer.interface"))
    app = build_app(routes, KnownHosts(known_hosts(config)), cors, hint=hints)
    body = Body(max(config.number("apiServer.maxBodyBytes"), Body().most_bytes), "apiServer.maxBodyBytes")
    return WsgiServer("api-server", port, app, body=body)


def known_hosts(config: Config) -> list[str]:
    """The names by which web pages may call a server of ours, beside those that every machine has."""
    return [config.text("general.advertisedHostname"), *config.texts("apiServer.allowedHosts")]


def admin_servers(config: Config, routes: Iterable[Route]) -> Iterator[WsgiServer]:
    """The same routes twice: plain on loopback, and over HTTPS with client certificates if that is configured.

    Raises ``ConfigError`` for certificates that cannot be used.
    """
    routes = list(routes)
    hosts = [config.text("general.advertisedHostname")]
    local = build_app(routes, Closed(hosts))
    asks_for = "nothing, but no web page gets in"
    port = Port(f"{LOCAL}.port", LOOPBACK)
    access = Access(f"{EVERYTHING}, to programs of this machine", NOTHING)
    yield WsgiServer("admin-server", port, local, asks_for=lambda: asks_for, body=ARCHIVES, access=access)
    if config.flag(f"{PUBLIC}.enabled"):
        cert, key = config.text(f"{PUBLIC}.tlsCertFile"), config.text(f"{PUBLIC}.tlsKeyFile")
        tls = server_context(cert, key, config.text(f"{PUBLIC}.clientCertsDir"), PUBLIC)
        port = Port(f"{PUBLIC}.port", config.text(f"{PUBLIC}.interface"))
        app = build_app(routes, Closed(None))
        asks = "a client certificate"
        access = Access(NOTHING, NOTHING)
        yield WsgiServer("public-admin-server", port, app, tls, lambda: asks, ARCHIVES, access=access)


def bootstrap_server(config: Config, make: Callable[[Any], str]) -> WsgiServer:
    """Tells a starting Envoy where its control plane is."""
    app = build_app([Route("/bootstrap", Bootstrap(make))], NoPages(known_hosts(config)))
    return WsgiServer("bootstrap-server", Port("bootstrapServer.port"), app, body=SMALL, access=UNREADABLE)


def diagnostics_server(
    config: Config,
    missing: Callable[[], list[str]],
    metrics: Callable[[], tuple[str, bytes]],
    illness: Callable[[], str] = lambda: "",
) -> WsgiServer:
    """Whether the control plane is alive and ready, and what it counts."""
    routes = [
        Route(HEALTHY, diagnostics.Healthy(illness)),
        Route(READY, diagnostics.Ready(missing)),
        Route("/metrics", diagnostics.Metrics(metrics)),
    ]
    app, port = build_app(routes, KnownHosts(known_hosts(config))), Port("xdsServer.diagnosticsPort")
    return WsgiServer("diagnostics-server", port, app, body=SMALL, at_once=PROBES, access=UNREADABLE)
