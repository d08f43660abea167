"""Ends each stage of a certificate authority's rotation when it has reached every proxy, on the leader alone."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

import structlog

from kuma_core.builtin.rotation.contract import Rotation, RotationStage
from kuma_core.builtin.rotation.rotations import GoingOn, Rotations
from kuma_core.builtin.rotation.settled import Settled
from kuma_core.config import Config
from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.resources import fencing

_log = structlog.get_logger("ca-rotations")

STEP_SECONDS = 1.0
"""How often the leader looks at the control planes while a rotation goes on."""
GRACE_SECONDS = 1.0
"""How long a stage goes on after the last acknowledgement: Envoy's workers are a little behind its main thread."""
SHORTEST_SECONDS = 35.0
"""How long a stage lasts at least: an Envoy that lost its control plane, and so was not asked, is back within 30 s."""


class RotationDriver:
    """A leader's component. Times are those of its own clock, from when it first saw the stage: a new leader waits
    anew. It may end at any point: the next one finds the stage that the authority keeps."""

    name = "ca-rotations"
    leader_only = True

    def __init__(self, config: Config, settled: Settled, rotations: Rotations) -> None:
        self._settled, self._rotations = settled, rotations
        self._patience = {
            RotationStage.TRUSTING: config.seconds("caDefaults.rotationTimeout"),
            # by then no leaf of the old anchor is valid any more
            RotationStage.SIGNING: config.seconds("caDefaults.leafLifetime"),
        }
        self._stages: dict[str, _Stage] = {}

    def run(self, stop: Stop) -> None:
        """Drive until ``stop`` is set."""
        self._stages = {}
        stop.on_set(self._rotations.wake)
        while not stop.is_set():
            self._rotations.wait_for_any(stop)
            if stop.is_set():
                return
            try:
                self.step()
            except KumaError as error:
                _log.warning("rotations of certificate authorities have to wait", problem=str(error))
            stop.wait(STEP_SECONDS)

    def step(self) -> None:
        """Look once at every rotation that goes on, and end the stages that may end. Raises ``StoreUnavailable``."""
        current = self._rotations.current()
        self._stages = {mesh: self._stage(mesh, going_on.rotation) for mesh, going_on in current.items()}
        if not current:
            return
        settled = {self._settled.own_id: {}, **self._settled.all()}
        for mesh, going_on in current.items():
            self._step(mesh, going_on, settled)

    def _stage(self, mesh: str, rotation: Rotation) -> _Stage:
        known = self._stages.get(mesh)
        if known and known.id == rotation.id:
            return known
        _log.info("a rotation is at this stage", mesh=mesh, stage=rotation.stage.value, id=rotation.id)
        return _Stage(rotation.id, self._patience[rotation.stage])

    def _step(self, mesh: str, going_on: GoingOn, settled: Mapping[str, Mapping[str, str]]) -> None:
        stage = self._stages[mesh]
        stage.note({id for id, stages in settled.items() if stages.get(mesh) != stage.id}, settled)
        if not stage.is_over():
            return
        told = {"mesh": mesh, "authority": going_on.authority.name, "stage": going_on.rotation.stage.value}
        try:
            fencing.confirm()  # here, for the authority may work in a thread of its own
            if going_on.advance(mesh, stage.id):
                missing = sorted(stage.missing)
                if missing:
                    _log.warning("a stage of a rotation ran out of time", missing=missing, **told)
                _log.info("a stage of a rotation is over", seconds=round(stage.seconds(), 1), **told)
        except KumaError as error:
            _log.warning("a stage of a rotation cannot be ended yet", problem=str(error), **told)
        self._rotations.suspect(mesh)


class _Stage:
    """One stage, as the leader waits for it; ``missing`` are the control planes that have not settled it."""

    def __init__(self, id: str, patience: float) -> None:
        self.id, self._patience = id, patience
        self.missing: Collection[str] = ()
        self._began = self._undisturbed = time.monotonic()
        self._settled: float | None = None

    def note(self, missing: Collection[str], there: Collection[str]) -> None:
        """Which control planes are missing, of those that are there.

        If one went away unsettled, its proxies need their time to connect to another one.
        """
        now = time.monotonic()
        if set(self.missing) - set(there):
            self._undisturbed = now
        self.missing = missing
        if missing:
            self._settled = None
        elif self._settled is None:
            self._settled = now

    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self._began

    def is_over(self) -> bool:
        """Whether it has reached everybody, or its time is up."""
        if self.seconds() >= self._patience:
            return True
        now = time.monotonic()
        rested = now - self._undisturbed >= SHORTEST_SECONDS
        return self._settled is not None and now - self._settled >= GRACE_SECONDS and rested
