"""An authority that can be rotated, as a stranger writes it: it stands for a remote one, which tells of changes."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import RLock
from typing import Any

from kuma_ca_builtin.root import next_root
from kuma_core.sdk import (
    CaProviderFactory,
    InvalidResource,
    KumaError,
    NotFound,
    Rotation,
    RotationStage,
    Stop,
    Violation,
    hookimpl,
)
from kuma_core.sdk.pki import load_issuer, sign_leaf

Pair = tuple[bytes, bytes]


@dataclass(frozen=True)
class State:
    """The pairs of a mesh, the first of which signs."""

    pairs: tuple[Pair, ...]
    rotation: Rotation | None = None


class RemoteCa:
    """The provider."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._lock = RLock()
        self._changed: queue.Queue[str] = queue.Queue()
        self._rotations = 0

    def validate(self, mesh: str, conf: Mapping[str, Any]) -> Iterable[Violation]:
        """Whatever is said is fine."""
        return []

    def ensure(self, mesh: str) -> None:
        """Make a pair."""
        with self._lock:
            if mesh not in self._states:
                self._states[mesh] = State((next_root(mesh),))

    def trust_anchors(self, mesh: str) -> Sequence[str]:
        """All certificates."""
        with self._lock:
            state = self._states.get(mesh)
        return [cert.decode() for cert, _ in state.pairs] if state else []

    def issue(self, mesh: str, public_key: str, uris: Sequence[str], ttl: timedelta) -> str:
        """A leaf of the first pair."""
        return sign_leaf(load_issuer(*self._state(mesh).pairs[0]), public_key, uris, ttl)

    def watch(self, changed: Callable[[str], None], stop: Stop) -> None:
        """Tell the meshes."""
        while not stop.is_set():
            try:
                changed(self._changed.get(timeout=0.05))
            except queue.Empty:
                continue

    def signer(self, mesh: str) -> str:
        """The first certificate."""
        return self._state(mesh).pairs[0][0].decode()

    def rotation(self, mesh: str) -> Rotation | None:
        """What is kept of it."""
        state = self._states.get(mesh)
        return state.rotation if state else None

    def rotate(self, mesh: str) -> Rotation:
        """Begin."""
        with self._lock:
            state = self._states.get(mesh)
            if state is None:
                raise NotFound("there is no such mesh here")
            if state.rotation:
                raise InvalidResource([], details="one rotation at a time, please")
            self._rotations += 1
            rotation = Rotation(f"{self._rotations}.1", RotationStage.TRUSTING, "just now")
            self._keep(mesh, State((*state.pairs, next_root(mesh)), rotation))
            return rotation

    def advance(self, mesh: str, id: str) -> bool:
        """Go on."""
        with self._lock:
            state = self._states.get(mesh)
            if state is None or state.rotation is None or state.rotation.id != id:
                return False
            if state.rotation.stage is RotationStage.SIGNING:
                self._keep(mesh, State(state.pairs[:1]))
            else:
                rotation = replace(state.rotation, id=f"{self._rotations}.2", stage=RotationStage.SIGNING)
                self._keep(mesh, State(state.pairs[::-1], rotation))
            return True

    def _keep(self, mesh: str, state: State) -> None:
        self._states[mesh] = state
        self._changed.put(mesh)

    def _state(self, mesh: str) -> State:
        if mesh not in self._states:
            raise KumaError("there is no such mesh here")
        return self._states[mesh]


class Remote:
    """The plugin."""

    def __init__(self) -> None:
        self.provider = RemoteCa()

    @hookimpl
    def kuma_register_ca_providers(self) -> Iterable[CaProviderFactory]:
        return [CaProviderFactory("remote", lambda config, secrets: self.provider)]
