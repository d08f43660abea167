"""The server of the pages: which app it serves, and what it gives to whom."""

from __future__ import annotations

from kuma_core.sdk import Access, Apps, AsgiServer, Body, Context, Port
from kuma_core.sdk.http import KnownHosts, known_hosts
from kuma_gui.app import GuiApp
from kuma_gui.pages import Pages

CONNECTIONS = 1000
"""Each browser holds one for the stream of events, and few more for a moment."""
READS = Access(strangers="to read", web_pages="to read")
NO_BODY = Body(64 * 1024)


def gui_server(context: Context) -> AsgiServer:
    """The server on ``guiServer.port``."""
    config = context.config
    about = {
        "apiUrl": "/api",
        "environment": config.text("environment"),
        "storeType": config.text("store.type"),
        "readOnly": True,
    }
    hosts = KnownHosts(known_hosts(config))
    app = GuiApp(Pages(), about, hosts, context.ask("apps", Apps))
    port = Port("guiServer.port", config.text("guiServer.interface"))
    return AsgiServer("gui-server", port, app, body=NO_BODY, access=READS, connections=CONNECTIONS)
