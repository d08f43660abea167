"""The apps of HTTP servers, for servers that hand requests on to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from kuma_core.plugin.contract import AsgiServer, Server, WsgiServer
from kuma_core.runtime.https import over_wsgi
from kuma_core.runtime.listening import NeverAllWait


class HandedOn:
    """Offered to plugins as ``Apps``. ``know`` says which servers there are. Safe for use from several threads."""

    def __init__(self) -> None:
        self._servers: dict[str, WsgiServer | AsgiServer] = {}
        self._apps: dict[str, Callable[..., Any]] = {}
        self._making = threading.Lock()

    def know(self, servers: Iterable[Server]) -> None:
        """These are the servers."""
        self._servers = {item.name: item for item in servers if isinstance(item, WsgiServer | AsgiServer)}

    def asgi(self, server: str) -> Callable[..., Any]:
        """The app of a server; one of WSGI gets workers of its own, so that it takes none from that server's."""
        with self._making:
            if server not in self._apps:
                self._apps[server] = _as_asgi(self._servers[server])
            return self._apps[server]


def _as_asgi(server: WsgiServer | AsgiServer) -> Callable[..., Any]:
    if isinstance(server, AsgiServer):
        return server.app
    app: Callable[..., Any] = over_wsgi(NeverAllWait(server.app))
    return app
