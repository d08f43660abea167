"""Follows the rotations of certificate authorities: which go on, and at which stage.

The authority keeps the stage (``RotatableCaProvider``). While no rotation goes on, we ask the store nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from kuma_core.builtin.rotation.contract import RotatableCaProvider, Rotation
from kuma_core.ca.contract import Authorities, Authority
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Resources
from kuma_core.resources.secrets import SECRET
from kuma_core.specs.mesh import MESH

_log = structlog.get_logger("ca-rotations")

LOOK_SECONDS = 0.5
"""How often a control plane looks at its proxies while a rotation goes on."""
RETRY_SECONDS = 5.0
"""How long to wait before we ask an authority again that failed; and how often proxies that have not
acknowledged yet are to look anew."""


@dataclass(frozen=True, slots=True)
class GoingOn:
    """A rotation and the authority whose it is."""

    authority: Authority
    rotation: Rotation

    def advance(self, mesh: str, id: str) -> bool:
        """End the stage of this id, and whether it was this call that ended it."""
        provider = self.authority.provider
        assert isinstance(provider, RotatableCaProvider)  # it has told of the rotation
        return self.authority.call("advance", lambda: provider.advance(mesh, id))


def rotation_of(authority: Authority, mesh: str) -> Rotation | None:
    """How far a rotation is; ``None`` if there is none, or the provider knows none."""
    provider = authority.provider
    if not isinstance(provider, RotatableCaProvider):
        return None
    return authority.call("rotation", lambda: provider.rotation(mesh))


class Rotations:
    """The rotations that go on, by mesh, of the authorities that the meshes select.

    Safe for use from several threads; one alone calls ``refresh``.
    """

    def __init__(self, resources: Resources, authorities: Authorities) -> None:
        self._resources, self._authorities = resources, authorities
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

        Of an authority that fails we keep what we knew. Raises ``StoreUnavailable``; the hints are kept then.
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
        rotation = rotation_of(authority, mesh) if authority else None
        return GoingOn(authority, rotation) if authority and rotation else None
