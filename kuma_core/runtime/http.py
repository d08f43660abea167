"""Plain HTTP listeners: a bound socket, a waitress on it, a thread for its loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from waitress.channel import HTTPChannel

from kuma_core.errors import ConfigError
from kuma_core.plugin.contract import Body
from kuma_core.runtime import descriptors
from kuma_core.runtime.http_answers import with_long_answers
from kuma_core.runtime.http_channels import parser_for
from kuma_core.runtime.http_doors import open_server

WORKERS = 12
WAITING_WORKERS = 8
"""So many of them may be inside the store at once; the others go on to answer what needs none when it hangs."""

CONNECTIONS = 1000
"""How many clients may be connected at once, most of them idle; each costs a file descriptor, of which a server gets at
most a tenth."""

MIB = 1024 * 1024
HEAD_BYTES = 96 * 1024
"""How large a request's head may be."""

DISCARDED_BYTES = 64 * 1024 * 1024
"""How large a body we read so that its client sees the refusal; beyond that we close the connection at once."""


def connections() -> int:
    """How many clients of one server may be connected at once."""
    return min(CONNECTIONS, max(descriptors.allowed() // 10, 16))


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
    """The sentence for a port that cannot be had, or for an address that is none of this machine."""
    next_step = f"Is another kuma-cp running? Stop it, or choose another port with {env}"
    if any(text in reason for text in ("assign requested address", "not known", "resolution")):
        interface = setting.rpartition(".")[0] + ".interface"
        next_step = f"Name an address of this machine with {interface}, or leave it empty"
    return ConfigError(f"cannot listen on port {port} ({setting}, {env}): {reason}. {next_step}")


DEFAULT_BODY = Body()


class HttpServer:
    """A WSGI app on a bound socket. ``start`` serves in a thread until ``close`` is called from another one.

    Of a body ``body`` is what is kept; ``at_once`` are paths that are answered without a worker.
    """

    def __init__(
        self,
        name: str,
        app: Callable[..., Any],
        listener: socket.socket,
        body: Body = DEFAULT_BODY,
        at_once: Collection[str] = (),
    ) -> None:
        self.name = name
        self._server = open_server(
            name,
            with_long_answers(app),
            listener,
            WORKERS,
            parser_for(body.most_bytes, body.setting),
            most=connections(),
            at_once=at_once,
            ident=None,
            max_request_header_size=HEAD_BYTES,
            max_request_body_size=max(DISCARDED_BYTES, body.most_bytes + MIB),
            clear_untrusted_proxy_headers=False,  # who was passed on is a stranger, and these tell of it
        )
        self._thread = threading.Thread(target=self.serve, name=name, daemon=True)

    def waiting(self) -> int:
        """How many requests wait for a worker."""
        return len(self._server.task_dispatcher.queue)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Let the requests at work finish, for some seconds, and end the thread."""
        self.end()
        self._thread.join(timeout=10)

    def serve(self) -> None:
        """Serve, in this thread, until ``end`` is called. Whatever it raises, nothing of it stays open."""
        try:
            self._server.serve()
        except BaseException:
            self._close_channels()
            raise

    def end(self) -> None:
        """Have ``serve`` let the requests at work finish, for some seconds, and return; from any thread."""
        with suppress(OSError):  # something else woke the loop meanwhile, and it has ended
            self._server.trigger.pull_trigger(self._close_channels)

    def _close_channels(self) -> None:
        """In the loop's own thread: without an open channel the loop ends."""
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=5)
        for dispatcher in list(self._server._map.values()):
            if isinstance(dispatcher, HTTPChannel):
                dispatcher.handle_close()  # ends what is left of long answers too, which close() does not
            else:
                dispatcher.close()
