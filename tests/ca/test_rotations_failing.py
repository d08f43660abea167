"""What rotations cost at rest, and what happens when an authority, a store or a proxy fails."""

from __future__ import annotations

import time
from typing import Any

import pytest
import structlog

from kuma_core.builtin.rotation.observer import RotationObserver
from kuma_core.builtin.rotation.rotations import Rotations
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.resources.contract import Change, Op
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_store_memory.store import MemoryStore

from .rotations import begin, control_plane
from .support import builtin_ca, copied, proxy, rotation, stage

pytestmark = pytest.mark.usefixtures("short")


class Asked:
    """Stands for a store that counts what is read."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.reads: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, key: Any) -> Any:
        self.reads.append(key.type)
        return self._store.get(key)

    def list(self, type: str, mesh: str | None = None) -> Any:
        self.reads.append(type)
        return self._store.list(type, mesh)


def test_nothing_is_asked_of_the_store_while_no_rotation_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from kuma_core.builtin.cluster import components as instances
    from kuma_core.runtime import leadership

    for module, name in (
        (leadership, "RENEW_SECONDS"),
        (instances, "BEAT_SECONDS"),
        (instances, "LOOK_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 60.0)
    store = Asked(MemoryStore())
    with control_plane(store) as cp, proxy(cp, "web-1") as web:  # type: ignore[arg-type]
        eventually(lambda: cp.platform.leadership.leads)
        begin(cp)
        cp.offer("builtin.cluster").instances.beat()
        eventually(lambda: stage(cp) == "")
        eventually(lambda: len(web.trusted()) == 1)
        time.sleep(0.5)  # what was under way is done
        store.reads.clear()
        time.sleep(1.0)
        assert store.reads == []


class Failing:
    """A provider that cannot tell whether it is being rotated."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self.problem: Exception | None = KumaError("the vault is sealed")

    def provider(self) -> Any:
        """The provider that cannot."""
        return copied(self._provider, rotation=self.rotation)

    def rotation(self, mesh: str) -> Any:
        if self.problem and mesh == "shop":
            raise self.problem
        return self._provider.rotation(mesh)


def test_an_authority_that_fails_holds_nobody_else_up_and_is_told_once(cp: RunningPlatform) -> None:
    authority = cp.platform.core.authorities["builtin"]
    failing = Failing(authority.provider)
    object.__setattr__(authority, "provider", failing.provider())
    with structlog.testing.capture_logs() as logs:
        cp.apply(mesh("shop"))
        rotation(cp, "POST")
        eventually(lambda: stage(cp) == "")
        rotation(cp, "POST", "shop")
        eventually(lambda: [entry for entry in logs if "cannot be told" in entry["event"]])
        failing.problem = None
        eventually(lambda: stage(cp, "shop") == "")
    (told,) = [entry for entry in logs if "cannot be told" in entry["event"]]
    assert (told["mesh"], "the vault is sealed" in told["problem"]) == ("shop", True)


def test_hints_are_kept_while_the_store_cannot_be_reached(cp: RunningPlatform) -> None:
    authority = cp.platform.core.authorities["builtin"]
    failing = Failing(authority.provider)
    failing.problem = StoreUnavailable("no store")
    cp.apply(mesh("shop"))
    begin(cp, "shop")
    object.__setattr__(authority, "provider", failing.provider())
    rotations = Rotations(cp.platform.core.resources, cp.platform.core.authorities)
    rotations.changed(Change(Op.RESYNC))
    with pytest.raises(StoreUnavailable):
        rotations.refresh()
    failing.problem = None
    rotations.wait_for_news(Stop())
    rotations.refresh()
    assert list(rotations.current()) == ["shop"]


class Deaf:
    """Proxies of which nobody can tell what they have."""

    def __init__(self) -> None:
        self.nudged: list[str] = []

    def behind(self, mesh: str) -> list[object]:
        raise KumaError("there is no Mesh of that name")

    def authority_changed(self, mesh: str) -> None:
        self.nudged.append(mesh)


def test_proxies_that_cannot_be_looked_at_are_not_settled_and_are_looked_at_anew(cp: RunningPlatform) -> None:
    deaf, rotations = Deaf(), Rotations(cp.platform.core.resources, cp.platform.core.authorities)
    builtin_ca(cp).rotate("default")
    rotations.suspect("default")
    own = RotationObserver(cp.offer("builtin.rotation"), rotations, deaf, cp.offer("builtin.events"))
    with structlog.testing.capture_logs() as logs:
        eventually(lambda: own.look() or deaf.nudged)
        own.look()
    assert [entry["problem"] for entry in logs if "cannot be told" in entry["event"]] == [
        "there is no Mesh of that name"
    ]
