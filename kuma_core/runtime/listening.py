"""Takes the ports of all servers before it starts the first of them, and stops the servers in order."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import structlog

from kuma_core.config import Config
from kuma_core.errors import ConfigError, KumaError
from kuma_core.hosts import in_url
from kuma_core.plugin.contract import AsgiServer, GrpcServer, Server, UnixSocket, WsgiServer
from kuma_core.resources.calls import PLACES, Places
from kuma_core.runtime.components import Components
from kuma_core.runtime.http import WAITING_WORKERS, HttpServer, bind, port_error
from kuma_core.runtime.https import AsgiHttpServer, over_wsgi
from kuma_core.runtime.kept_up import KeptUp, Loop
from kuma_core.runtime.unix_socket import listening

_log = structlog.get_logger("kuma-cp.run")

GRACE_SECONDS = 1.0


class Listening:
    """The constructor takes the ports; raises ``ConfigError`` that names the setting of one that cannot be had.

    What stands later in ``servers`` starts earlier and stops later. ``bound`` are the servers and their sockets.
    ``failed`` is called for one that ended by itself and cannot be started again; ``ends`` counts those that ended.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        config: Config,
        servers: Iterable[Server],
        failed: Callable[[KumaError], None],
        ends: Counter[str],
    ) -> None:
        self._stack, self._config = stack, config
        self._failed, self._ends = failed, ends
        self._env = {setting.path: setting.env for setting in config.settings}
        self._sockets: dict[str, socket.socket] = {}
        self._loops: dict[str, Loop] = {}
        self.bound = [(server, self._take(server)) for server in servers if self._is_to_be_had(server)]

    async def serve(self) -> None:
        """Start every server, until the stack is left."""
        for server, listener in reversed(self.bound):
            if isinstance(server, GrpcServer):
                await self._serve_grpc(server)
            else:
                assert listener is not None
                self._serve_http(server, listener)
            self._tell(server)

    def waiting(self) -> dict[str, int]:
        """How many requests wait for a worker of each HTTP server that has workers."""
        loops = self._loops.copy().items()
        return {name: loop.waiting() for name, loop in loops if isinstance(loop, HttpServer)}

    def _tell(self, server: Server) -> None:
        """Say where to find it: an operator who looks for a port finds all of them in the log of the start."""
        protocol = "grpc" if isinstance(server, GrpcServer) else "http"
        _log.info(
            "listening",
            server=server.name,
            address=self._address(server),
            protocol=f"{protocol} over TLS" if server.tls else protocol,
            asks_for=server.asks_for(),
        )

    def _address(self, server: Server) -> str:
        if isinstance(server.port, UnixSocket):
            return f"unix:{server.port.path}"
        number = self._config.number(server.port.setting)
        return f"{in_url(server.port.interface or 'all addresses')}:{number}"

    def _is_to_be_had(self, server: Server) -> bool:
        """Whether to serve it: not on a Unix socket that nobody asked for and that this machine has no place for."""
        place = server.port
        if not isinstance(place, UnixSocket) or not place.spare:
            return True
        try:
            self._sockets[place.path] = self._stack.enter_context(listening(place))
        except ConfigError as error:
            _log.warning("a server is left out", server=server.name, problem=str(error))
        return place.path in self._sockets

    def _take(self, server: Server) -> socket.socket | None:
        if isinstance(server.port, UnixSocket):
            return self._sockets.get(server.port.path) or self._stack.enter_context(listening(server.port))
        setting = server.port.setting
        number = self._config.number(setting)
        listener = bind(setting, self._env[setting], number, server.port.interface)
        if isinstance(server, GrpcServer):
            listener.close()  # gRPC binds by itself, later, and tells a failure in words of its own
            return None
        return self._stack.enter_context(listener)

    def _serve_http(self, server: WsgiServer | AsgiServer, listener: socket.socket) -> None:
        keeping = Components(self._failed, self._ends)

        def made(own: socket.socket) -> Loop:
            loop = self._loops[server.name] = _loop(server, own)
            return loop

        keeping.start([KeptUp(server.name, server.restartable, listener, made)])
        self._stack.callback(keeping.stop)

    async def _serve_grpc(self, server: GrpcServer) -> None:
        setting, number = server.port.setting, self._config.number(server.port.setting)
        serving = grpc.aio.server(options=_list(server.options))
        serving.add_generic_rpc_handlers(_list(server.handlers()))
        address = f"{_grpc_host(server.port.interface)}:{number}"
        try:
            bound = _add_port(serving, address, server)
        except RuntimeError:
            bound = 0
        if not bound:
            raise port_error(setting, self._env[setting], number, "the address is in use or not permitted")
        await serving.start()
        self._ends[server.name] += 0
        stopping = asyncio.Event()
        watching = asyncio.create_task(self._tell_of_the_end(serving, server, stopping))
        self._stack.push_async_callback(_stop, serving, server, stopping, watching)

    async def _tell_of_the_end(
        self, serving: grpc.aio.Server, server: GrpcServer, stopping: asyncio.Event
    ) -> None:
        """All streams ended with it: the control plane does, too, and is started anew as a whole."""
        await serving.wait_for_termination()
        if not stopping.is_set():
            self._ends[server.name] += 1
            self._failed(KumaError(f'server "{server.name}" ended although nobody had stopped it'))


def _loop(server: WsgiServer | AsgiServer, listener: socket.socket) -> Loop:
    if isinstance(server, AsgiServer):
        return AsgiHttpServer(
            server.name,
            server.app,
            listener,
            server.tls,
            server.body,
            server.connections,
            server.stopping,
            server.arrivals,
        )
    app = NeverAllWait(server.app)
    if server.tls:
        return AsgiHttpServer(server.name, over_wsgi(app), listener, server.tls, server.body)
    return HttpServer(server.name, app, listener, server.body, server.at_once)


class NeverAllWait:
    """A WSGI app of whose workers never all wait for the store."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app, self._places = app, Places(WAITING_WORKERS)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Serve one request."""
        PLACES.set(self._places)
        return self._app(environ, start_response)


def _add_port(serving: grpc.aio.Server, address: str, server: GrpcServer) -> int:
    if server.tls is None:
        return int(serving.add_insecure_port(address))
    pair = server.tls()
    return int(serving.add_secure_port(address, grpc.ssl_server_credentials([(pair.key, pair.chain)])))


async def _stop(
    serving: grpc.aio.Server, server: GrpcServer, stopping: asyncio.Event, watching: asyncio.Task[None]
) -> None:
    """End the streams in an orderly way, then the server, which so has nothing to cut off."""
    stopping.set()
    server.stopping()
    await serving.stop(GRACE_SECONDS)
    await watching  # not cancelled: the library would take that for the end of its own work


def _grpc_host(interface: str) -> str:
    if not interface:
        return "[::]"
    return f"[{interface}]" if ":" in interface else interface


def _list(values: Sequence[Any]) -> list[Any]:
    return list(values)
