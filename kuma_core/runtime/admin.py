"""The two listeners of the admin server: plain on loopback, and HTTPS with client certificates if configured."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

from kuma_core.admin.closed import Closed
from kuma_core.api.app import build_app
from kuma_core.api.contract import Route
from kuma_core.config import Config
from kuma_core.runtime.http import HttpServer, bind
from kuma_core.runtime.https import HttpsServer, server_context

LOCAL, PUBLIC = "adminServer.local", "adminServer.public"
LOOPBACK = "127.0.0.1"


class AdminServers:
    """Takes the ports, and reads the certificates, when it is made; serves when the routes are known.

    Raises ``ConfigError`` for a port that is taken and for files that cannot be used.
    """

    def __init__(self, config: Config, stack: AsyncExitStack) -> None:
        self._config = config
        self._stack = stack
        self._env = {setting.path: setting.env for setting in config.settings}
        self._local = self._listen(f"{LOCAL}.port", LOOPBACK)
        self._public = self._listen_publicly() if config.flag(f"{PUBLIC}.enabled") else None

    def serve(self, routes: Iterable[Route]) -> None:
        """Serve the same routes on both, until the stack is left."""
        routes = list(routes)
        hosts = [self._config.text("general.advertisedHostname")]
        self._start(HttpServer("admin-server", build_app(routes, Closed(hosts)), self._local))
        if self._public:
            listener, tls = self._public
            app: Callable[..., Any] = build_app(routes, Closed(None))
            self._start(HttpsServer("public-admin-server", app, listener, tls))

    def _listen(self, path: str, interface: str) -> Any:
        listener = bind(path, self._env[path], self._config.number(path), interface)
        return self._stack.enter_context(listener)

    def _listen_publicly(self) -> tuple[Any, ssl.SSLContext]:
        said = {key: self._config.text(f"{PUBLIC}.{key}") for key in ("tlsCertFile", "tlsKeyFile")}
        folder = self._config.text(f"{PUBLIC}.clientCertsDir")
        tls = server_context(said["tlsCertFile"], said["tlsKeyFile"], folder, PUBLIC)
        return self._listen(f"{PUBLIC}.port", self._config.text(f"{PUBLIC}.interface")), tls

    def _start(self, server: HttpServer | HttpsServer) -> None:
        server.start()
        self._stack.callback(server.close)
