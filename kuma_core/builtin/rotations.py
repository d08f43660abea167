"""Follows the rotations of certificate authorities: which go on, and which stages the proxies here have acknowledged.

The authority keeps the stage (``RotatableCaProvider``). Every control plane looks at its own proxies, and says in its
own record which stage all of them have acknowledged; the leader (``rotation_driver``) goes on when all of them say so.
While no rotation goes on, nothing is asked of the store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from kuma_core.ca.authorities import Authority
from kuma_core.ca.contract import Rotation
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change
from kuma_core.resources.manager import MESH
from kuma_core.resources.secrets import SECRET
from kuma_core.runtime.contract import Context

_log = structlog.get_logger("ca-rotations")

LOOK_SECONDS = 0.5
"""How often a control plane looks at its proxies while a rotation goes on."""
RETRY_SECONDS = 5.0
"""How long to wait before an authority that could not be asked is asked again; and how often proxies that have not
acknowledged yet are to look anew."""
PATIENCE_SECONDS = 60.0
"""After how long the log tells which proxies a stage waits for."""
MOST_NAMES = 20
"""How many proxies a line of the log names."""


@dataclass(frozen=True, slots=True)
class GoingOn:
    """A rotation and the authority whose it is."""

    authority: Authority
    rotation: Rotation


class Rotations:
    """The rotations that go on, by mesh, of the authorities that the meshes select.

    Safe for use from several threads; one alone calls ``refresh``.
    """

    def __init__(self, context: Context) -> None:
        self._resources, self._authorities = context.resources, context.authorities
        self._news = threading.Condition()
        self._suspects: set[str] = set()
        self._all_suspect = False
        self._failed: set[str] = set()
        self._going_on: Mapping[str, GoingOn] = {}

    def changed(self, change: Change) -> None:
        """Take a hint from the store's watch."""
        if change.key is None:
            with self._news:
                self._all_suspect = True
                self._news.notify_all()
        elif change.key.type in (SECRET, MESH):
            self.suspect(change.key.mesh)

    def suspect(self, mesh: str) -> None:
        """A rotation may have begun in this mesh, or ended."""
        with self._news:
            self._suspects.add(mesh)
            self._news.notify_all()

    def wake(self) -> None:
        """Have those who wait look at their ``stop``."""
        with self._news:
            self._news.notify_all()

    def current(self) -> Mapping[str, GoingOn]:
        """What ``refresh`` found last."""
        return self._going_on

    def wait_for_any(self, stop: Stop) -> None:
        """Wait until a rotation goes on."""
        with self._news:
            self._news.wait_for(lambda: stop.is_set() or bool(self._going_on))

    def wait_for_news(self, stop: Stop) -> None:
        """Wait until there is something to ``refresh``: at once after a hint, else soon if a rotation goes on."""
        with self._news:
            seconds = LOOK_SECONDS if self._going_on else RETRY_SECONDS if self._failed else None
            self._news.wait_for(
                lambda: stop.is_set() or self._all_suspect or bool(self._suspects), timeout=seconds
            )

    def refresh(self) -> None:
        """Ask anew in the meshes that hints were about, and in those whose rotations go on.

        An authority that fails keeps what was known of it. Raises ``StoreUnavailable``; the hints are kept then.
        """
        with self._news:
            names, everywhere = self._suspects, self._all_suspect
            self._suspects, self._all_suspect = set(), False
        try:
            found = self._ask_all(names, everywhere)
        except StoreUnavailable:
            with self._news:
                self._suspects |= names
                self._all_suspect |= everywhere
            raise
        with self._news:
            self._going_on = found
            self._news.notify_all()

    def _ask_all(self, names: set[str], everywhere: bool) -> Mapping[str, GoingOn]:
        asked = names | self._failed | set(self._going_on)
        if everywhere:
            asked |= {mesh.name for mesh in self._resources.list(MESH, unreadable=lambda error: None)}
        answers = {name: self._ask(name) for name in sorted(asked)}
        return {name: going_on for name, going_on in answers.items() if going_on}

    def _ask(self, mesh: str) -> GoingOn | None:
        try:
            found = self._find(mesh)
        except StoreUnavailable:
            raise
        except KumaError as error:
            if mesh not in self._failed:
                _log.warning("whether a rotation goes on cannot be told", mesh=mesh, problem=str(error))
            self._failed.add(mesh)
            return self._going_on.get(mesh)
        self._failed.discard(mesh)
        return found

    def _find(self, mesh: str) -> GoingOn | None:
        resource = self._resources.find(ResourceKey(MESH, mesh, mesh))
        authority = self._authorities.of(resource.spec) if resource else None
        rotation = authority.rotation(mesh) if authority else None
        return GoingOn(authority, rotation) if authority and rotation else None


class Proxies(Protocol):
    """The proxies that are connected to this control plane."""

    def behind(self, mesh: str) -> Sequence[object]:
        """Those that have not acknowledged yet what the authority of their mesh says now; raises ``KumaError``."""
        ...

    def authority_changed(self, mesh: str) -> None:
        """Have each of a mesh look whether there is something new for it."""
        ...


class RotationObserver:
    """A component of every control plane: tells which stages all of its proxies have acknowledged."""

    name = "ca-rotation-observer"
    leader_only = False

    def __init__(self, context: Context, rotations: Rotations, proxies: Proxies) -> None:
        self._instances, self._rotations, self._proxies = context.instances, rotations, proxies
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
                stop.wait(RETRY_SECONDS)

    def look(self) -> None:
        """Look once at every rotation. Raises ``StoreUnavailable``."""
        self._rotations.refresh()
        current = self._rotations.current()
        for mesh in [mesh for mesh in self._stages if mesh not in current]:
            self._stages.pop(mesh).end()
            self._instances.settle(mesh, "")
        for mesh, going_on in current.items():
            self._observe(mesh, going_on.rotation)

    def _observe(self, mesh: str, rotation: Rotation) -> None:
        """The stage was read before the streams are looked at: what they acknowledged is no older than it."""
        stage = self._stages.get(mesh)
        if stage is None or stage.rotation.id != rotation.id:
            if stage:
                stage.end()
            stage = self._stages[mesh] = _Stage(mesh, rotation)
        if not stage.settled:
            self._look_at_proxies(mesh, stage)
        if stage.settled:
            self._instances.settle(mesh, rotation.id)

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
    """One stage, as the proxies of this control plane have it. What was settled stays so: whoever connects later
    gets what is in force then."""

    def __init__(self, mesh: str, rotation: Rotation) -> None:
        self.rotation, self._mesh = rotation, mesh
        self.settled = False
        self._behind: Sequence[object] = ()
        self._problem = ""
        self._began = self._looked = time.monotonic()
        self._is_told = False

    def note(self, behind: Sequence[object]) -> None:
        """Who has not acknowledged it yet; nobody: then it is settled."""
        self._behind, self.settled = behind, not behind
        if behind and not self._is_told and time.monotonic() - self._began >= PATIENCE_SECONDS:
            self._is_told = True
            self._tell("a rotation waits for these proxies")

    def note_problem(self, problem: str) -> None:
        """Why it cannot be told who has."""
        if problem != self._problem:
            self._problem = problem
            _log.warning("who has acknowledged a rotation cannot be told", mesh=self._mesh, problem=problem)

    def is_time_to_look_anew(self) -> bool:
        """From time to time: what could not be read for a proxy may be readable now."""
        if self.settled or time.monotonic() - self._looked < RETRY_SECONDS:
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
