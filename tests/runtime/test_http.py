"""The plain HTTP listener: what it leaves behind when it ends."""

from __future__ import annotations

import gc
import http.client
import warnings
from collections.abc import Callable, Iterable
from typing import Any

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
