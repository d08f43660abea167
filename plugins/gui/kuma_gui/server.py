"""The server of the pages: which app it serves, and what it gives to whom."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from kuma_core.sdk import Access, Apps, AsgiServer, Body, Config, Context, Port
from kuma_core.sdk.http import KnownHosts, known_hosts
from kuma_gui.app import API, GuiApp
from kuma_gui.pages import Pages

CONNECTIONS = 1000
"""Each browser holds one for the stream of events, and few more for a moment."""
TO_READ = Access("everything, to read", "nothing")
PAGES_ALONE = Access("the pages, and what is public", "nothing")
MODE, TOKENS = "apiServer.auth.mode", "token"
NO_BODY = Body(64 * 1024)


PORTS = {
    "api": "apiServer.port",
    "bootstrap": "bootstrapServer.port",
    "diagnostics": "xdsServer.diagnosticsPort",
    "events": "eventsServer.port",
    "gui": "guiServer.port",
    "sds": "sdsServer.grpcPort",
    "xds": "xdsServer.grpcPort",
}


def gui_server(context: Context) -> AsgiServer:
    """The server on ``guiServer.port``."""
    config = context.config
    hosts = KnownHosts(known_hosts(config))
    app = GuiApp(Pages(), about(config), hosts, context.ask("apps", Apps))
    port = Port("guiServer.port", config.text("guiServer.interface"))
    asks = config.text(MODE) == TOKENS
    return AsgiServer(
        "gui-server",
        port,
        app,
        asks_for=lambda: "a user's token, for what the pages read" if asks else "nothing",
        body=NO_BODY,
        access=PAGES_ALONE if asks else TO_READ,
        connections=CONNECTIONS,
    )


def about(config: Config) -> dict[str, Any]:
    """What ``/config`` says: ``apiUrl`` and ``environment`` as in Kuma 0.3.2, and what the pages show beside them."""
    return {
        "apiUrl": API,
        "environment": config.text("environment"),
        "hostname": config.text("general.advertisedHostname"),
        "ports": {name: config.number(path) for name, path in PORTS.items()},
        "readOnly": True,
        "storeType": config.text("store.type"),
        "version": version("kuma-core"),
    }
