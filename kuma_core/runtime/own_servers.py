"""The other HTTP servers of the kernel itself: the admin API, the bootstrap and the diagnostics."""

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
from kuma_core.api.pages import KnownHosts, NoPages, known_hosts
from kuma_core.api.serving import Serving, serving_route
from kuma_core.auth.contract import Right
from kuma_core.auth.users import MODE, TOKENS
from kuma_core.builtin.configuration.contract import AUTOCONFIGURATION, NO_SOCKET
from kuma_core.config import Config
from kuma_core.plugin.contract import (
    EVERYTHING,
    NOTHING,
    Access,
    Body,
    Port,
    UnixSocket,
    WsgiServer,
)
from kuma_core.runtime.https import server_context
from kuma_core.runtime.rest_servers import PUBLIC_THINGS, Shared

LOCAL, PUBLIC = "adminServer.local", "adminServer.public"
SOCKET = "adminServer.socket"
LOOPBACK = "127.0.0.1"
ARCHIVES = Body(48 * 1024 * 1024)
"""An import of secrets may be as large."""
UNREADABLE = Access(web_pages=NOTHING)
"""Browsers keep answers from pages that no CORS header allows, and requests change nothing here."""
SMALL = Body(64 * 1024)
PROBES = HEALTHY, READY = "/healthy", "/ready"


def admin_servers(shared: Shared, routes: Iterable[Route]) -> Iterator[WsgiServer]:
    """The admin routes on loopback, without secrets, on a Unix socket, and over HTTPS if that is configured.

    Raises ``ConfigError`` for certificates that cannot be used.
    """
    config, routes = shared.config, list(routes)
    yield _on_loopback(shared, routes)
    if place := admin_socket(config):
        app = _admin_app(shared, routes, None)
        asked = f"access to the socket ({place.mode:04o})"
        access = Access(NOTHING, NOTHING)
        yield WsgiServer("admin-socket", place, app, asks_for=lambda: asked, body=ARCHIVES, access=access)
    if config.flag(f"{PUBLIC}.enabled"):
        cert, key = config.text(f"{PUBLIC}.tlsCertFile"), config.text(f"{PUBLIC}.tlsKeyFile")
        tls = server_context(cert, key, config.text(f"{PUBLIC}.clientCertsDir"), PUBLIC)
        port = Port(f"{PUBLIC}.port", config.text(f"{PUBLIC}.interface"))
        app = _admin_app(shared, routes, None)
        asks = "a client certificate"
        access = Access(NOTHING, NOTHING)
        yield WsgiServer("public-admin-server", port, app, tls, lambda: asks, ARCHIVES, access=access)


def _admin_app(shared: Shared, routes: Iterable[Route], hosts: Iterable[str] | None) -> Callable[..., Any]:
    return build_app(routes, Audit(shared.ring), Closed(hosts), access=shared.access, times=shared.times)


def _on_loopback(shared: Shared, routes: list[Route]) -> WsgiServer:
    """For every user of the machine, so it has no secrets; nothing at all where the operator does not want that."""
    config = shared.config
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
    app = _admin_app(shared, served, [config.text("general.advertisedHostname")])
    by_token = config.text(MODE) == TOKENS
    asks_for = "nothing, but no web page gets in, and no secret out" if open_to_all else "what nobody has"
    strangers = f"{EVERYTHING}, to programs of this machine, but secrets" if open_to_all else NOTHING
    if by_token and open_to_all:
        asks_for, strangers = "a user's token", PUBLIC_THINGS
    access = Access(strangers, NOTHING)
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
    shared: Shared, make: Callable[[Any], str], clock: Callable[[Any, str], None], serving: Serving
) -> WsgiServer:
    """Tells a starting Envoy where its control plane is, and hears whether instances serve.

    ``clock`` hears how far the proxy's machine is from ours.
    """
    bootstrap = Bootstrap(make, clock, shared.config.text("logging.directory"))
    routes = [
        Route("/bootstrap", bootstrap, right=Right.PUBLIC, writes=Right.PUBLIC),
        serving_route(serving),
    ]
    app = build_app(routes, NoPages(known_hosts(shared.config)), access=shared.access, times=shared.times)
    return WsgiServer("bootstrap-server", Port("bootstrapServer.port"), app, body=SMALL, access=UNREADABLE)


def diagnostics_server(
    shared: Shared,
    missing: Callable[[], list[str]],
    metrics: Callable[[], tuple[str, bytes]],
    illness: Callable[[], str] = lambda: "",
) -> WsgiServer:
    """Whether the control plane is alive and ready, and what it counts."""
    routes = [
        Route(HEALTHY, diagnostics.Healthy(illness), right=Right.PUBLIC, writes=Right.PUBLIC),
        Route(READY, diagnostics.Ready(missing), right=Right.PUBLIC, writes=Right.PUBLIC),
        Route("/metrics", diagnostics.Metrics(metrics), right=Right.READER),
    ]
    hosts = KnownHosts(known_hosts(shared.config))
    app = build_app(routes, Audit(shared.ring), hosts, access=shared.access)
    asked, strangers = "nothing", EVERYTHING
    if shared.config.text(MODE) == TOKENS:
        asked, strangers = "a user's token for /metrics", PUBLIC_THINGS
    access = Access(strangers, NOTHING)
    port = Port("xdsServer.diagnosticsPort")
    return WsgiServer(
        "diagnostics-server", port, app, asks_for=lambda: asked, body=SMALL, at_once=PROBES, access=access
    )
