"""The HTTP servers of the kernel itself: REST, the admin API, the bootstrap and the diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kuma_core.api import diagnostics
from kuma_core.api.app import build_app
from kuma_core.api.audit import Audit
from kuma_core.api.bootstrap import Bootstrap
from kuma_core.api.closed import Closed
from kuma_core.api.confidential import without_any, without_secrets
from kuma_core.api.contract import Route
from kuma_core.api.cors import Cors
from kuma_core.api.pages import KnownHosts, NoPages, known_hosts
from kuma_core.api.unknown_paths import Hints
from kuma_core.builtin.configuration.contract import AUTOCONFIGURATION, NO_SOCKET
from kuma_core.config import Config
from kuma_core.histogram import Histogram
from kuma_core.plugin.contract import (
    EVERYTHING,
    NOTHING,
    TO_READ,
    Access,
    Body,
    Port,
    UnixSocket,
    WsgiServer,
)
from kuma_core.runtime.https import server_context

API_HINT = "GET /kinds lists the collections that there are"
LOCAL, PUBLIC = "adminServer.local", "adminServer.public"
SOCKET = "adminServer.socket"
LOOPBACK = "127.0.0.1"
ARCHIVES = Body(48 * 1024 * 1024)
"""An import of secrets may be as large."""
UNREADABLE = Access(web_pages=NOTHING)
"""Browsers keep answers from pages that no CORS header allows, and requests change nothing here."""
READABLE = Access(web_pages=TO_READ)
"""Of another origin; one that is named outright gets everything."""
SMALL = Body(64 * 1024)
PROBES = HEALTHY, READY = "/healthy", "/ready"


def api_server(config: Config, routes: Iterable[Route], times: Histogram) -> WsgiServer:
    """The REST API; here and below ``times`` is what requests are counted in."""
    routes = list(routes)
    hints = Hints((route.template for route in routes), API_HINT)
    cors = Cors(config.texts("apiServer.corsAllowedDomains"))
    port = Port("apiServer.port", config.text("apiServer.interface"))
    app = build_app(routes, Audit(), KnownHosts(known_hosts(config)), cors, hint=hints, times=times)
    body = Body(max(config.number("apiServer.maxBodyBytes"), Body().most_bytes), "apiServer.maxBodyBytes")
    return WsgiServer("api-server", port, app, body=body, access=READABLE)


def admin_servers(config: Config, routes: Iterable[Route], times: Histogram) -> Iterator[WsgiServer]:
    """The same routes on loopback, without secrets, on a Unix socket, and over HTTPS if that is configured.

    Raises ``ConfigError`` for certificates that cannot be used.
    """
    routes = list(routes)
    yield _on_loopback(config, routes, times)
    if place := admin_socket(config):
        app = build_app(routes, Audit(), Closed(None), times=times)
        asked = f"access to the socket ({place.mode:04o})"
        access = Access(NOTHING, NOTHING)
        yield WsgiServer("admin-socket", place, app, asks_for=lambda: asked, body=ARCHIVES, access=access)
    if config.flag(f"{PUBLIC}.enabled"):
        cert, key = config.text(f"{PUBLIC}.tlsCertFile"), config.text(f"{PUBLIC}.tlsKeyFile")
        tls = server_context(cert, key, config.text(f"{PUBLIC}.clientCertsDir"), PUBLIC)
        port = Port(f"{PUBLIC}.port", config.text(f"{PUBLIC}.interface"))
        app = build_app(routes, Audit(), Closed(None), times=times)
        asks = "a client certificate"
        access = Access(NOTHING, NOTHING)
        yield WsgiServer("public-admin-server", port, app, tls, lambda: asks, ARCHIVES, access=access)


def _on_loopback(config: Config, routes: list[Route], times: Histogram) -> WsgiServer:
    """For every user of the machine, so it has no secrets; nothing at all where the operator does not want that."""
    open_to_all = config.flag(f"{LOCAL}.anyUser")
    ways = _ways(config)
    if open_to_all:
        served = without_secrets(
            routes, f"Secrets do not leave over loopback, where every user may ask: {ways}"
        )
    else:
        served = without_any(
            routes, f"adminServer.local.anyUser is false, so nothing is done over loopback: {ways}"
        )
    app = build_app(served, Audit(), Closed([config.text("general.advertisedHostname")]), times=times)
    asks_for = "nothing, but no web page gets in, and no secret out" if open_to_all else "what nobody has"
    access = Access(
        f"{EVERYTHING}, to programs of this machine, but secrets" if open_to_all else NOTHING, NOTHING
    )
    port = Port(f"{LOCAL}.port", LOOPBACK)
    return WsgiServer("admin-server", port, app, asks_for=lambda: asks_for, body=ARCHIVES, access=access)


def _ways(config: Config) -> str:
    """Who is to be asked instead, in the words of an operator."""
    place = admin_socket(config)
    socket = (
        f"use the Unix socket {place.path}, which kumactl finds by itself if its user may"
        if place
        else f"open a Unix socket with {SOCKET}.path"
    )
    return f"{socket}, or HTTPS with a client certificate (adminServer.public)"


def admin_socket(config: Config) -> UnixSocket | None:
    """Where the admin server listens for those whom the file system lets in; ``None`` for nowhere."""
    setting = next(item for item in config.settings if item.path == f"{SOCKET}.path")
    path = config.text(setting.path)
    if path == NO_SOCKET:
        return None
    return UnixSocket(
        setting.path,
        setting.env,
        path,
        int(config.text(f"{SOCKET}.mode"), 8),
        config.text(f"{SOCKET}.group"),
        spare=config.sources[setting.path] == AUTOCONFIGURATION,
    )


def bootstrap_server(
    config: Config, make: Callable[[Any], str], clock: Callable[[Any, str], None], times: Histogram
) -> WsgiServer:
    """Tells a starting Envoy where its control plane is; ``clock`` hears how far its machine's is from ours."""
    app = build_app([Route("/bootstrap", Bootstrap(make, clock))], NoPages(known_hosts(config)), times=times)
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
    app, port = build_app(routes, Audit(), KnownHosts(known_hosts(config))), Port("xdsServer.diagnosticsPort")
    return WsgiServer("diagnostics-server", port, app, body=SMALL, at_once=PROBES, access=UNREADABLE)
