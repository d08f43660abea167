"""The plain HTTP listener: what its connections are like, and what it leaves behind when it ends."""

from __future__ import annotations

import gc
import http.client
import socket
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import pytest

from kuma_core.runtime.http import HttpServer, bind

LONG = b"x" * 3_000_000
"""More than waitress keeps of an answer in memory, and more than a socket takes at once."""


def _app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(len(LONG)))])
    return [LONG]


def test_a_server_that_ends_leaves_no_file_of_a_half_read_answer() -> None:
    """A long answer waits in a temporary file; Python would say that nobody closed it."""
    listener = bind("apiServer.port", "KUMA_API_SERVER_PORT", 0, "127.0.0.1")
    port = listener.getsockname()[1]
    server = HttpServer("api-server", _app, listener)
    server.start()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", "/")
    assert client.getresponse().read(10) == LONG[:10]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        server.close()
        del server
        gc.collect()
    client.close()
    assert [str(warning.message) for warning in seen] == []


@pytest.mark.parametrize("interface", ["127.0.0.1", ""])
def test_connections_send_the_pieces_of_an_answer_at_once(interface: str) -> None:
    """They would wait for the acknowledgement of the piece before, which clients delay by 40 ms."""
    with bind("apiServer.port", "KUMA_API_SERVER_PORT", 0, interface) as listener, ExitStack() as stack:
        place = ("127.0.0.1", listener.getsockname()[1])
        stack.enter_context(socket.create_connection(place))
        connection = stack.enter_context(listener.accept()[0])
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
