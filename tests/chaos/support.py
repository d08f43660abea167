"""Processes that can be killed and started again, and loads that keep count."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kuma_core.testing.ports import own_ports
from kuma_core.testing.waiting import eventually

from ..end_to_end.load import SteadyLoad
from ..end_to_end.support import BIN, end, fetch, start

READY_SECONDS = 30.0
BACK_SECONDS = 120.0
"""In which an Envoy is back that lost its control plane again and again: it waits for up to 30 s between attempts."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a control plane answered; ``body`` is decoded where it is JSON."""

    status: int
    body: Any


class ControlPlane:
    """A kuma-cp process over a database, with the same ports after each start."""

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        database: Mapping[str, str],
        program: str = str(BIN / "kuma-cp"),
        **settings: str,
    ) -> None:
        self._program = program
        self.ports = own_ports()
        self.log = folder / f"kuma-cp-{next(_numbers)}.log"
        self._stack = stack
        self._environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("KUMA_")},
            **{f"KUMA_{name}": str(port) for name, port in self.ports.items()},
            "KUMA_GENERAL_ADVERTISED_HOSTNAME": "127.0.0.1",
            "KUMA_API_SERVER_INTERFACE": "127.0.0.1",
            "KUMA_XDS_SERVER_ENDPOINTS": "registered",  # much of what is written here has no sidecar that could join
            **database,
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True, before: str = "") -> None:
        """Start the program, after another line of the shell; by default wait until it says that it is ready."""
        line = f"{before or 'true'} && exec {self._program} run"
        self.process = start(["bash", "-c", line], self.log, self._stack, env=self._environ)
        if wait:
            eventually(self.is_ready, READY_SECONDS, f"a ready control plane; its log: {self.log}")

    def is_ready(self) -> bool:
        """Whether ``/ready`` says so; fails the test if the program has ended."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"kuma-cp has ended: {self.log.read_text()[-3000:]}")
        try:
            return fetch(self.ports["XDS_SERVER_DIAGNOSTICS_PORT"], "/ready") == ""
        except OSError:
            return False

    def kill(self) -> None:
        """``kill -9``, by the process's id."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> int:
        """End it as an operator does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=20)

    @property
    def instance(self) -> str:
        """The id that it gave itself at its last start, by its log."""
        return re.findall(r'the control plane is up.*"instance": "([^"]+)"', self.log.read_text())[-1]

    @property
    def url(self) -> str:
        """Where the REST API is."""
        return f"http://127.0.0.1:{self.ports['API_SERVER_PORT']}"

    def request(self, method: str, path: str, body: Any = None) -> Reply:
        """A request to the REST API. Raises ``OSError`` if there is no whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["API_SERVER_PORT"], timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
        is_json = "json" in (response.getheader("Content-Type") or "") and text
        return Reply(response.status, json.loads(text) if is_json else text.decode())

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """PUT Dataplanes and Meshes; fails the test if one is refused."""
        for document in documents:
            reply = self.request("PUT", path_of(document), document)
            assert reply.status in (200, 201), reply

    def subscriptions(self, name: str) -> list[dict[str, Any]]:
        """What is known of the streams of a Dataplane of the mesh ``default``, oldest first."""
        insight = self.request("GET", f"/meshes/default/dataplanes+insights/{name}").body["dataplaneInsight"]
        found: list[dict[str, Any]] = insight.get("subscriptions", [])
        return found

    def is_online(self, name: str) -> bool:
        """Whether a stream of the Dataplane is open."""
        return any("disconnectTime" not in item for item in self.subscriptions(name))


def path_of(document: Mapping[str, Any]) -> str:
    """Where a Dataplane or a Mesh lives in the REST API."""
    if document["type"] == "Mesh":
        return f"/meshes/{document['name']}"
    return f"/meshes/{document['mesh']}/dataplanes/{document['name']}"


__all__ = ["ControlPlane", "Reply", "SteadyLoad", "end", "path_of"]
