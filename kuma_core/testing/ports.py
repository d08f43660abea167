"""Free ports for tests, far from where the system takes its own, and apart for parallel test workers."""

from __future__ import annotations

import itertools
import os
import socket

LISTENERS = (
    "API_SERVER_PORT",
    "API_SERVER_HTTPS_PORT",
    "BOOTSTRAP_SERVER_PORT",
    "XDS_SERVER_GRPC_PORT",
    "XDS_SERVER_DIAGNOSTICS_PORT",
    "ADMIN_SERVER_LOCAL_PORT",
    "SDS_SERVER_GRPC_PORT",
    "EVENTS_SERVER_PORT",
    "GUI_SERVER_PORT",
)
"""The settings of the ports on which a control plane listens unless told otherwise, without their ``KUMA_``: two on one
machine share none of them."""

_FIRST, _SIZE, _WORKERS = 10_000, 1_000, 20
_REFUSED = frozenset((10_080,))
"""Ports of ours to which browsers do not go, since they belong to protocols that a page could be made to speak."""


def _range() -> range:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    start = _FIRST + int(worker) % _WORKERS * _SIZE
    return range(start, start + _SIZE)


_ports = itertools.cycle(_range())


def free_port() -> int:
    """A port on which nobody listens; no other call of this process got it lately."""
    for port in itertools.islice(_ports, _SIZE):
        if port in _REFUSED:
            continue
        try:
            with socket.create_server(("127.0.0.1", port)):
                pass
        except OSError:
            continue
        return port
    raise RuntimeError("no free port is left in the range of this test worker")


def own_ports() -> dict[str, int]:
    """A free port for each of the ``LISTENERS``."""
    return {name: free_port() for name in LISTENERS}
