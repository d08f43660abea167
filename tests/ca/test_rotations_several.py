"""A root is rotated by several control planes: whoever leads, or crashes."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import pytest
import structlog

from kuma_core.builtin.cluster.instances import Instances
from kuma_core.builtin.cluster.kinds import INSTANCE
from kuma_core.builtin.rotation.driver import RotationDriver
from kuma_core.builtin.rotation.rotations import Rotations
from kuma_core.testing.authorities import verified
from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.waiting import eventually
from kuma_store_memory.store import MemoryStore

from .rotations import begin, control_plane, settled
from .support import builtin_ca, copied, proxy, rotation, stage, stays

pytestmark = pytest.mark.usefixtures("short")


def test_two_control_planes_each_wait_for_the_proxies_of_the_other() -> None:
    store = MemoryStore()
    with control_plane(store) as one, control_plane(store) as two:
        for first, second in ((one, two), (two, one)):
            with proxy(first, "web-1") as web, proxy(second, "ledger-1") as ledger:
                eventually(lambda w=web, o=ledger: w.bundle.secrets and o.bundle.secrets)
                ledger.bundle.stubborn = True
                begin(first)
                eventually(lambda cp=first: settled(cp))
                assert stays(first, "trusting")
                shown = rotation(second).body["rotation"]["settled"]
                assert shown == {first.platform.instance_id: True, second.platform.instance_id: False}
                ledger.bundle.relent()
                eventually(lambda cp=first: stage(cp) == "")
                new = builtin_ca(two).signer("default")
                eventually(lambda w=web, o=ledger, n=new: w.trusted() == o.trusted() == [n])


def test_a_killed_control_plane_is_waited_for_until_it_is_known_to_be_dead(cp: RunningPlatform) -> None:
    """What it leaves is its record; its proxies then have their time to come back."""
    Instances(cp.platform.core.resources, "ghost").beat()
    began = time.monotonic()
    with structlog.testing.capture_logs() as logs:
        begin(cp)
        assert rotation(cp).body["rotation"]["settled"]["ghost"] is False
        eventually(lambda: stage(cp) == "")
    assert time.monotonic() - began > 1
    assert [entry for entry in logs if "out of time" in entry["event"]] == []
    assert "ghost" not in {item.name for item in cp.platform.core.resources.list(INSTANCE.name)}


def test_when_the_leader_goes_another_one_goes_on() -> None:
    store = MemoryStore()
    with ExitStack() as leaving:
        leader = leaving.enter_context(control_plane(store))
        eventually(lambda: leader.platform.leadership.leads)
        with control_plane(store) as other, proxy(other, "ledger-1") as ledger:
            eventually(lambda: ledger.bundle.secrets)
            ledger.bundle.stubborn = True
            begin(other)
            eventually(lambda: rotation(other).body["rotation"]["settled"].get(leader.platform.instance_id))
            leaving.close()
            ledger.bundle.relent()
            eventually(lambda: stage(other) == "")
            assert other.platform.leadership.leads
            eventually(lambda: ledger.trusted() == [builtin_ca(other).signer("default")])


CRASHES = [
    (stage_name, moment) for stage_name in ("trusting", "signing") for moment in ("before", "after", "later")
]


@pytest.mark.parametrize(("at", "moment"), CRASHES)
def test_a_leader_may_crash_at_every_step(at: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its write, between the write and whatever it does next, and once the next stage has begun."""
    monkeypatch.setattr(RotationDriver, "run", lambda self, stop: stop.wait())
    with control_plane() as cp, proxy(cp, "web-1") as web:
        eventually(lambda: web.bundle.secrets and web.identity.secrets)
        old = begin(cp)
        first = Crashing(cp, at, moment)
        first.lead_until_crash()
        left = stage(cp)
        assert left == (at if moment == "before" else {"trusting": "signing", "signing": ""}[at])
        second = Crashing(cp, "never", "")
        eventually(lambda: second.lead() or stage(cp) == "")
        new = builtin_ca(cp).signer("default")
        assert new != old
        eventually(lambda: web.trusted() == [new])
        verified(web.chain(), [new])


class Crash(BaseException):
    """What no code catches, once the boundary around plugins is out of its way."""


class NoBoundary:
    """Calls of a plugin that nothing guards."""

    def call(self, plugin: str, what: str, function: Any, passes: Any) -> Any:
        return function()


class Crashing:
    """A leader that is driven by the test, and crashes in the given stage, around the write that ends it."""

    def __init__(self, cp: RunningPlatform, at: str, moment: str) -> None:
        self._rotations = Rotations(cp.platform.core.resources, cp.platform.core.authorities)
        self._driver = RotationDriver(cp.platform.config, cp.offer("builtin.rotation"), self._rotations)
        self._at, self._moment = at, moment
        self._real: Any = None
        self._boundary: Any = None
        self._rotations.suspect("default")

    def lead(self) -> None:
        """One step."""
        self._rotations.refresh()
        for going_on in self._rotations.current().values():
            if going_on.rotation.stage.value == self._at and self._real is None:
                self._real = going_on.authority.provider
                object.__setattr__(going_on.authority, "provider", self._fragile(self._real))
                self._boundary = going_on.authority.boundary
                object.__setattr__(going_on.authority, "boundary", NoBoundary())
        self._driver.step()

    def lead_until_crash(self) -> None:
        """Steps, until it crashes; the authority is as before afterwards."""
        authority = None
        try:
            while True:
                self.lead()
                authority = next((g.authority for g in self._rotations.current().values()), authority)
                time.sleep(0.02)
        except Crash:
            assert authority is not None
            object.__setattr__(authority, "provider", self._real)
            object.__setattr__(authority, "boundary", self._boundary)

    def _fragile(self, provider: Any) -> Any:
        moment = self._moment

        def advance(mesh: str, id: str) -> bool:
            if moment == "before":
                raise Crash
            provider.advance(mesh, id)
            if moment == "later":
                time.sleep(0.3)
            raise Crash

        return copied(provider, advance=advance)
