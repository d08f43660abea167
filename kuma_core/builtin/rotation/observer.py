"""Tells which stages of a rotation all proxies of this control plane have acknowledged.

Every control plane looks at its own proxies, and notes for the others which stage all of them have acknowledged; the
leader goes on when all control planes say so. Events tell each step, so that whoever shows one need not ask all the
time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from kuma_core.builtin.events.contract import Event, Events
from kuma_core.builtin.rotation import rotations
from kuma_core.builtin.rotation.contract import TOLD, Rotation
from kuma_core.builtin.rotation.rotations import Rotations
from kuma_core.builtin.rotation.settled import Settled
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.specs.mesh import MESH
from kuma_core.xds.contract import Identities

_log = structlog.get_logger("ca-rotations")

PATIENCE_SECONDS = 60.0
"""After how long the log tells which proxies a stage waits for."""
MOST_NAMES = 20
"""How many proxies a line of the log names."""


class RotationObserver:
    """A component of every control plane: tells which stages all of its proxies have acknowledged."""

    name = "ca-rotation-observer"
    leader_only = False

    def __init__(self, settled: Settled, rotations: Rotations, proxies: Identities, events: Events) -> None:
        self._settled, self._rotations, self._proxies = settled, rotations, proxies
        self._events = events
        self._stages: dict[str, _Stage] = {}

    def run(self, stop: Stop) -> None:
        """Look until ``stop`` is set."""
        stop.on_set(self._rotations.wake)
        while not stop.is_set():
            self._rotations.wait_for_news(stop)
            if stop.is_set():
                return
            try:
                self.look()
            except KumaError as error:
                _log.warning("rotations of certificate authorities have to wait", problem=str(error))
                stop.wait(rotations.RETRY_SECONDS)

    def look(self) -> None:
        """Look once at every rotation. Raises ``StoreUnavailable``."""
        self._rotations.refresh()
        current = self._rotations.current()
        for mesh in [mesh for mesh in self._stages if mesh not in current]:
            self._stages.pop(mesh).end()
            self._settled.settle(mesh, "")
            self._tell(mesh, {})
        for mesh, going_on in current.items():
            self._observe(mesh, going_on.rotation)

    def _observe(self, mesh: str, rotation: Rotation) -> None:
        """Note how far a stage is; ``look`` read it before the streams, so that what they acknowledged is no older."""
        stage = self._stages.get(mesh)
        if stage is None or stage.rotation.id != rotation.id:
            if stage:
                stage.end()
            stage = self._stages[mesh] = _Stage(mesh, rotation)
            self._tell(mesh, {"stage": rotation.stage.value})
        if not stage.settled:
            self._look_at_proxies(mesh, stage)
            if stage.settled:
                self._tell(mesh, {"stage": rotation.stage.value, "settled": True})
        if stage.settled:
            self._settled.settle(mesh, rotation.id)

    def _tell(self, mesh: str, data: Mapping[str, Any]) -> None:
        self._events.publish(Event(TOLD, MESH, mesh, {"name": mesh, **data}))

    def _look_at_proxies(self, mesh: str, stage: _Stage) -> None:
        try:
            stage.note(self._proxies.behind(mesh))
        except StoreUnavailable:
            raise
        except KumaError as error:
            stage.note_problem(str(error))
        if stage.is_time_to_look_anew():
            self._proxies.authority_changed(mesh)


class _Stage:
    """One stage, as the proxies of this control plane have it. A settled stage stays so: a proxy that connects
    later gets what is in force then."""

    def __init__(self, mesh: str, rotation: Rotation) -> None:
        self.rotation, self._mesh = rotation, mesh
        self.settled = False
        self._behind: Sequence[object] = ()
        self._problem = ""
        self._began = self._looked = time.monotonic()
        self._is_told = False

    def note(self, behind: Sequence[object]) -> None:
        """Note which proxies have not acknowledged the stage yet; without any, it is settled."""
        self._behind, self.settled = behind, not behind
        if behind and not self._is_told and time.monotonic() - self._began >= PATIENCE_SECONDS:
            self._is_told = True
            self._tell("a rotation waits for these proxies")

    def note_problem(self, problem: str) -> None:
        """Note why nobody can say which proxies have acknowledged it."""
        if problem != self._problem:
            self._problem = problem
            _log.warning("who has acknowledged a rotation cannot be told", mesh=self._mesh, problem=problem)

    def is_time_to_look_anew(self) -> bool:
        """Say yes from time to time: an identity that failed for a proxy may succeed now."""
        if self.settled or time.monotonic() - self._looked < rotations.RETRY_SECONDS:
            return False
        self._looked = time.monotonic()
        return True

    def end(self) -> None:
        """The stage is over; only this control plane knows which of its proxies it did not reach."""
        if self._behind:
            self._tell("a stage of a rotation ended without these proxies")

    def _tell(self, event: str) -> None:
        names = sorted({str(proxy) for proxy in self._behind})
        stage = self.rotation.stage.value
        _log.warning(event, mesh=self._mesh, stage=stage, count=len(names), proxies=names[:MOST_NAMES])
