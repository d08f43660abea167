"""Clients that write through every outage and remember what was acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from kuma_core.testing.builders import dataplane, inbound, mesh

from .support import ControlPlane, path_of

PATIENCE_SECONDS = 0.02


class _Away(Exception):
    """There was no answer, or 503: the write may have happened or not."""


class _Writer(threading.Thread):
    """Writes until ``goal`` writes were acknowledged. ``problems`` holds what must never happen."""

    def __init__(self, name: str, cp: ControlPlane, goal: int) -> None:
        super().__init__(name=name, daemon=True)
        self.acknowledged = 0
        self.uncertain = 0
        self.problems: list[str] = []
        self._cp, self._goal = cp, goal
        self._ended = threading.Event()

    def run(self) -> None:
        while self.acknowledged < self._goal and not self._ended.is_set():
            try:
                self._write()
            except _Away:
                self.uncertain += 1
                self._ended.wait(PATIENCE_SECONDS)
            except Exception as error:  # noqa: BLE001 - told by the test
                self.problems.append(f"{self.name}: {error!r}")
                return

    def end(self) -> None:
        """Stop writing, whatever is left of the goal."""
        self._ended.set()
        self.join(timeout=60)

    def _write(self) -> None:
        raise NotImplementedError

    def _ask(self, method: str, path: str, body: object = None, expected: Iterable[int] = (200, 201)) -> int:
        try:
            reply = self._cp.request(method, path, body)
        except OSError as error:
            raise _Away from error
        if reply.status == 503:
            raise _Away
        if reply.status not in expected:
            raise AssertionError(f"{method} {path}: {reply}")
        return reply.status


class Counting(_Writer):
    """Counts its own Dataplane up. The number stands in two places of it, which must never differ."""

    def __init__(self, index: int, cp: ControlPlane, goal: int, base: int) -> None:
        super().__init__(f"counting-{index}", cp, goal)
        self.attempted = 0
        self.number = 0
        """The last one that was acknowledged."""
        self._base = base

    def _write(self) -> None:
        self.attempted += 1
        document = self.document(self.attempted)
        self._ask("PUT", path_of(document), document)
        self.number, self.acknowledged = self.attempted, self.acknowledged + 1

    def document(self, number: int) -> dict[str, object]:
        """The Dataplane with a number."""
        found = inbound(f"127.0.0.1:{self._base + number}:9", "counted", number=str(number))
        return dict(dataplane(self.name, found))

    def check(self) -> None:
        """What is stored is the last acknowledged number, or a later one that was tried; never half of one."""
        at_least = self.number
        reply = self._cp.request("GET", f"/meshes/default/dataplanes/{self.name}")
        if reply.status == 404 and at_least == 0:
            return
        stored = int(reply.body["networking"]["inbound"][0]["tags"]["number"]) if reply.status == 200 else -1
        if not at_least <= stored <= self.attempted:
            self.problems.append(f"{self.name}: {at_least} was acknowledged, {stored} is stored: {reply}")
        elif reply.body["networking"] != self.document(stored)["networking"]:
            self.problems.append(f"{self.name}: half of {stored} is stored: {reply}")


class MakingMeshes(_Writer):
    """Makes meshes with an authority and a Dataplane, and deletes every second one; each takes several steps."""

    def __init__(self, cp: ControlPlane, goal: int) -> None:
        super().__init__("meshes", cp, goal)
        self.kept: list[str] = []
        self.deleted: list[str] = []
        self._steps = self._all_steps()
        self._step = next(self._steps)

    def _all_steps(self) -> Iterator[tuple[tuple[str, str, Any], list[str] | None]]:
        """Each request, and where the mesh is noted when it was acknowledged."""
        number = 0
        while True:
            number += 1
            name = f"mesh-{number}"
            made = mesh(name, mtls={"enabled": True, "ca": {"builtin": {}}})
            inside = dataplane("inside", inbound("127.0.0.1:9:10", "inside"), mesh=name)
            yield ("PUT", path_of(made), made), None
            yield ("PUT", path_of(inside), inside), self.kept if number % 2 else None
            if number % 2 == 0:
                yield ("DELETE", path_of(made), None), self.deleted

    def _write(self) -> None:
        """One step, tried again until it is acknowledged; then also a deletion's 404 is an answer."""
        (method, path, body), done = self._step
        self._ask(method, path, body, (200, 201, 404) if method == "DELETE" else (200, 201))
        self.acknowledged += 1
        if done is not None:
            done.append(path.split("/")[2])
        self._step = next(self._steps)
