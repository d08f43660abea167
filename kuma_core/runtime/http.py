"""Plain HTTP listeners: a bound socket, a waitress on it, a thread for its loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from kuma_core.api.errors import JSON, error_body
from kuma_core.errors import ConfigError

WORKERS = 8

CONNECTIONS = 1000
"""How many clients may be connected at once, most of them idle; each costs a file descriptor."""

DISCARDED_BYTES = 64 * 1024 * 1024
"""How large a body we read so that its client sees the refusal; beyond that we close the connection at once."""


def bind(setting: str, env: str, port: int, interface: str = "") -> socket.socket:
    """A listening socket on all addresses, IPv4 and IPv6, or on one interface.

    Raises ``ConfigError`` that names the setting if the port cannot be had.
    """
    try:
        listener = _listener(port, interface)
    except OSError as error:
        raise port_error(setting, env, port, error.strerror or str(error)) from None
    # An answer is sent in pieces, and each connection inherits this. asyncio sets it only on sockets that name their
    # protocol, which these do not: every answer would wait 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _listener(port: int, interface: str) -> socket.socket:
    if interface:
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        return socket.create_server((interface, port), family=family, backlog=1024)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    return socket.create_server(("", port), backlog=1024)


def port_error(setting: str, env: str, port: int, reason: str) -> ConfigError:
    """The sentence for a port that cannot be had."""
    return ConfigError(
        f"cannot listen on port {port} ({setting}, {env}): {reason}. "
        f"Is another kuma-cp running? Stop it, or choose another port with {env}"
    )


class _JsonErrorTask(ErrorTask):
    """What waitress refuses before the app sees it, in the shape of every other error."""

    def execute(self) -> None:
        """Answer, and close the connection: nobody knows where the next request begins."""
        task: Any = self  # the published types of waitress lack half of its names
        error = task.request.error
        task.status = f"{error.code} {error.reason}"
        body = error_body(task.status, f"The request cannot be read: {error.body}")
        task.response_headers.append(("Content-Type", JSON))
        task.set_close_on_finish()
        task.content_length = len(body)
        task.write(body)


class _Channel(HTTPChannel):
    error_task_class = _JsonErrorTask


class HttpServer:
    """A WSGI app on a bound socket. ``run`` serves until ``close`` is called from another thread."""

    def __init__(self, name: str, app: Callable[..., Any], listener: socket.socket) -> None:
        self.name = name
        server: Any = create_server  # the published types speak of a union that no caller can use
        self._server = server(
            app,
            sockets=[listener],
            threads=WORKERS,
            ident=None,
            max_request_body_size=DISCARDED_BYTES,
            channel_timeout=60,
            connection_limit=CONNECTIONS,
            asyncore_use_poll=True,  # select() takes no descriptor above 1023, and ADS streams need many
            clear_untrusted_proxy_headers=True,
        )
        self._server.channel_class = _Channel
        self._thread = threading.Thread(target=self._server.run, name=name, daemon=True)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Let the requests at work finish, for some seconds, and end the thread."""
        self._server.trigger.pull_trigger(self._close_channels)
        self._thread.join(timeout=10)

    def _close_channels(self) -> None:
        """In the loop's own thread: without an open channel the loop ends."""
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=5)
        for dispatcher in list(self._server._map.values()):
            if isinstance(dispatcher, HTTPChannel):
                dispatcher.handle_close()  # ends the temporary files of long answers too, which close() does not
            else:
                dispatcher.close()
