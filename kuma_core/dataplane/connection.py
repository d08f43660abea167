"""Whether Envoy has its control plane: asked of Envoy itself, and told in one line each time that it changes.

Envoy's gauge ``control_plane.connected_state`` is no answer: it is 1 as soon as a stream is tried. Two counters are.
The control plane answers the first request of every stream for clusters, so that one of them grows with each stream
that came about; the other one grows with each that failed or broke.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from kuma_core.dataplane import admin_api
from kuma_core.dataplane.files import write_private
from kuma_core.dataplane.log import Log

ADMIN_SOCKET, ADMIN_ADDRESS, CONTROL_PLANE = "admin", "admin-address", "control-plane"
"""Files of the private directory: the API of an Envoy without an admin port, where it is, and who leads Envoy."""

PATIENCE_SECONDS = 10.0
"""How long the first configuration may take before somebody should look."""
CONNECTED_SECONDS = 5.0
"""How often a connected Envoy is asked; any other one is asked each second."""
REST = 200.0
"""How many times as long as an answer took nothing is asked: the counters of 2 500 clusters take 0.1 s of Envoy."""

_LONGEST_SOCKET = 100  # what fits into the address of a socket of UNIX, less some
_QUESTION = "/stats?type=Counters&usedonly&filter=^cluster_manager\\.cds\\.update_(success|rejected|failure)$"
_COUNTER = re.compile(rb"cluster_manager\.cds\.update_(success|rejected|failure): (\d+)")


def prepare(document: bytes, found: Mapping[str, Any], directory: str) -> bytes:
    """The bootstrap with a private admin API if it has none; what ``watched`` needs is put beside it.

    ``found`` is what it says. ``directory`` is private to this run; without one (``""``) nothing is watched.
    """
    if not directory:
        return document
    write_private(os.path.join(directory, CONTROL_PLANE), _control_plane(found).encode(errors="replace"))
    if "admin" in found or not has_admin(directory, False):
        return document
    return _with_admin(document, _socket(directory))


def _with_admin(document: bytes, path: str) -> bytes:
    """The text goes on, or is written anew as JSON if it is in braces."""
    import json

    admin = {"address": {"pipe": {"path": path, "mode": 0o600}}}
    if not document.lstrip().startswith(b"{"):
        return document.rstrip() + b"\nadmin: " + json.dumps(admin).encode() + b"\n"
    return json.dumps({**json.loads(document), "admin": admin}, ensure_ascii=False).encode(errors="replace")


def _control_plane(document: Mapping[str, Any]) -> str:
    """Where the bootstrap sends Envoy: ``HOST:PORT``, several of them behind commas, or nothing that is known."""
    try:
        service = document["dynamicResources"]["adsConfig"]["grpcServices"][0]
        if "googleGrpc" in service:
            return str(service["googleGrpc"]["targetUri"]).removeprefix("ipv4:").removeprefix("ipv6:")
        name = service["envoyGrpc"]["clusterName"]
        [cluster] = [item for item in document["staticResources"]["clusters"] if item["name"] == name]
        endpoints = cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"]
        found = [endpoint["endpoint"]["address"]["socketAddress"] for endpoint in endpoints]
        return ",".join(f"{address['address']}:{address['portValue']}" for address in found)
    except (KeyError, IndexError, TypeError, ValueError):
        return ""


class Watch:
    """Asks Envoy and tells what changed; ``look`` is to be called each second.

    ``ask`` gives how many streams came about and how many failed, or ``None`` if Envoy does not answer; ``identity``
    is who is connected to whom, for the log. ``came_back`` is called when there is a connection after there was none.
    """

    def __init__(
        self,
        ask: Callable[[], tuple[int, int] | None],
        tell: Callable[..., None],
        identity: Mapping[str, object],
        clock: Callable[[], float] = time.monotonic,
        came_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._ask, self._tell, self._identity, self._clock = ask, tell, identity, clock
        self._came_back = came_back
        self._came = self._failed = 0
        self._connected: bool | None = None
        self._since = clock()
        self._next = self._since

    def look(self) -> None:
        """Ask if it is time to; never raises, and takes half a second at most."""
        began = self._clock()
        if began < self._next:
            return
        answer = self._ask()
        now = self._clock()
        if answer:
            self._compare(*answer)
        if self._connected is None and now - self._since >= PATIENCE_SECONDS:
            self._change(False, _NOTHING_YET)
        pause = CONNECTED_SECONDS if self._connected else 0.0
        self._next = now + max(pause, (now - began) * REST)

    def _compare(self, came: int, failed: int) -> None:
        """Where both grew, the newer stream is taken to be the one that came about: if not, it fails again soon."""
        if came > self._came:
            self._change(True, "connected to the control plane")
        elif failed > self._failed and self._connected:
            self._change(False, _LOST)
        self._came, self._failed = came, failed

    def _change(self, connected: bool, message: str) -> None:
        if connected == self._connected:
            return
        now = self._clock()
        lasted = {"seconds_without": round(now - self._since, 1)} if self._connected is False else {}
        with suppress(OSError, ValueError):  # nobody reads it
            self._tell("INFO" if connected else "WARNING", message, **self._identity, **lasted)
        if connected and self._connected is False:
            self._came_back()
        if self._connected is not None or connected:
            self._since = now
        self._connected = connected


_LOST = (
    "the connection to the control plane is lost; Envoy goes on with the configuration that it has, "
    "and connects again by itself"
)
_NOTHING_YET = (
    "no configuration has come from the control plane yet; Envoy goes on trying. Is it running, is it reached at this "
    "address, and does its log say why it refuses this proxy?"
)


def has_admin(directory: str, has_port: bool) -> bool:
    """Whether an Envoy with this private directory (``""``: none) can be asked; with a port it always can."""
    return bool(directory) and (has_port or len(os.fsencode(_socket(directory))) <= _LONGEST_SOCKET)


def _socket(directory: str) -> str:
    return os.path.join(directory, ADMIN_SOCKET)


@contextmanager
def watched(
    directory: str, name: str, mesh: str, log: Log, came_back: Callable[[], None] = lambda: None
) -> Iterator[Callable[[], None] | None]:
    """What to call each second while Envoy runs, or None if there is no private directory."""
    if not directory:
        yield None
        return
    address = admin_api.read_line(os.path.join(directory, CONTROL_PLANE)) or "of the bootstrap configuration"
    identity = {"control_plane": address, "dataplane": name, "mesh": mesh}
    admin = os.path.join(directory, ADMIN_ADDRESS)
    yield Watch(lambda: _counters(admin), log.always, identity, came_back=came_back).look


def _counters(address_file: str) -> tuple[int, int] | None:
    """How many streams brought something, refused or not, and how many broke; ``None`` if Envoy does not say."""
    found = admin_api.counted(admin_api.ask(address_file, _QUESTION), _COUNTER)
    if found is None:
        return None
    return found.get("success", 0) + found.get("rejected", 0), found.get("failure", 0)
