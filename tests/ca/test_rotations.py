"""The root of a mesh is rotated: each stage reaches every proxy of every control plane, whoever leads, or crashes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import structlog

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.builtin import rotation_driver
from kuma_core.builtin.rotation_driver import RotationDriver
from kuma_core.builtin.rotations import RotationObserver, Rotations
from kuma_core.errors import KumaError, StoreUnavailable
from kuma_core.lifecycle import Stop
from kuma_core.resources.cluster import INSTANCE
from kuma_core.resources.contract import Change, Op
from kuma_core.resources.instances import Instances
from kuma_core.testing.authorities import CaSuite, RotationSuite, verified
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_store_memory.store import MemoryStore

from .remote_ca import Remote, RemoteCa
from .support import builtin_ca, proxy, rotation, shorten, stage, stays

WEB, LEDGER = (dataplane(f"{name}-1", inbound("127.0.0.1:8080:80", name)) for name in ("web", "ledger"))
ENCRYPTED = mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}})


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)


@contextmanager
def control_plane(
    store: MemoryStore | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[RunningPlatform]:
    plugins = [SharedStore(store) if store else kuma_store_memory, kuma_ca_builtin]
    with running_platform(plugins, settings) as platform:
        platform.apply(ENCRYPTED, WEB, LEDGER)
        yield platform


@pytest.fixture
def cp() -> Iterator[RunningPlatform]:
    with control_plane() as platform:
        yield platform


def begin(cp: RunningPlatform, mesh: str = "default") -> str:
    """Begin a rotation; returns the certificate of the root that signed so far."""
    old = builtin_ca(cp).signer(mesh)
    answer = rotation(cp, "POST", mesh)
    assert answer.status == 200, answer
    return old


def settled(cp: RunningPlatform) -> bool:
    """Whether the control plane says that its proxies have acknowledged the stage that is on."""
    shown = rotation(cp).body["rotation"]["settled"]
    return bool(shown.get(cp.platform.instance_id))


def test_each_stage_reaches_every_proxy_and_the_old_root_goes(cp: RunningPlatform) -> None:
    with proxy(cp, "web-1") as web, proxy(cp, "ledger-1") as ledger:
        eventually(lambda: web.identity.secrets and ledger.bundle.secrets)
        old = begin(cp)
        eventually(lambda: stage(cp) == "")
        new = builtin_ca(cp).signer("default")
        assert new != old
        eventually(lambda: web.trusted() == ledger.trusted() == [new])
        for one in (web, ledger):
            verified(one.chain(), [new])
            assert [len(one.bundle.secrets), len(one.identity.secrets)] == [3, 2]
    eventually(lambda: cp.platform.context.instances.all()[cp.platform.instance_id].settled == {})


def test_it_may_be_done_again(cp: RunningPlatform) -> None:
    with proxy(cp, "web-1") as web:
        signers = [begin(cp)]
        eventually(lambda: stage(cp) == "")
        signers.append(begin(cp))
        eventually(lambda: stage(cp) == "")
        signers.append(builtin_ca(cp).signer("default"))
        assert len(set(signers)) == 3
        eventually(lambda: web.trusted() == signers[2:])


def test_nobody_signs_with_the_new_root_before_all_trust_it(cp: RunningPlatform) -> None:
    with proxy(cp, "web-1") as web, proxy(cp, "ledger-1") as ledger:
        eventually(lambda: ledger.bundle.secrets)
        ledger.bundle.stubborn = True
        old = begin(cp)
        eventually(lambda: len(web.trusted()) == 2)
        assert stays(cp, "trusting")
        assert not settled(cp)
        verified(web.chain(), [old])
        ledger.bundle.relent()
        eventually(lambda: stage(cp) == "")


def test_the_old_root_is_trusted_until_every_leaf_is_of_the_new_one(cp: RunningPlatform) -> None:
    with proxy(cp, "web-1") as web, proxy(cp, "ledger-1") as ledger:
        eventually(lambda: ledger.identity.secrets)
        ledger.identity.stubborn = True
        begin(cp)
        eventually(lambda: stage(cp) == "signing")
        eventually(lambda: len(web.identity.secrets) == 2)
        assert stays(cp, "signing")
        assert len(web.trusted()) == 2
        ledger.identity.relent()
        eventually(lambda: stage(cp) == "")
        eventually(lambda: len(web.trusted()) == 1)


def test_a_proxy_that_connects_in_the_middle_gets_what_is_in_force(cp: RunningPlatform) -> None:
    with proxy(cp, "web-1") as web:
        eventually(lambda: web.bundle.secrets)
        web.bundle.stubborn = True
        begin(cp)
        with proxy(cp, "ledger-1") as ledger:
            eventually(lambda: ledger.bundle.secrets)
            assert len(ledger.trusted()) == 2
            assert stage(cp) == "trusting"
        web.bundle.relent()
        eventually(lambda: stage(cp) == "")


def test_a_proxy_that_does_not_take_the_new_root_is_waited_for_until_the_time_out() -> None:
    settings = {"KUMA_CA_DEFAULTS_ROTATION_TIMEOUT": "2s"}
    with control_plane(settings=settings) as cp, proxy(cp, "web-1") as web, proxy(cp, "ledger-1") as ledger:
        eventually(lambda: web.bundle.secrets and ledger.bundle.secrets)
        ledger.bundle.stubborn = True
        with structlog.testing.capture_logs() as logs:
            began = time.monotonic()
            begin(cp)
            eventually(lambda: stage(cp) == "signing")
            assert time.monotonic() - began > 2
            eventually(lambda: [e for e in logs if "without these proxies" in e["event"]])
    (leaders,) = [entry for entry in logs if "out of time" in entry["event"]]
    assert leaders["missing"] == [cp.platform.instance_id]
    (own,) = [entry for entry in logs if "without these proxies" in entry["event"]]
    assert (own["proxies"], own["count"], own["stage"]) == (["default.ledger-1"], 1, "trusting")


def test_a_leaf_that_is_not_replaced_is_waited_for_until_it_has_expired() -> None:
    settings = {"KUMA_CA_DEFAULTS_LEAF_LIFETIME": "3s"}
    with control_plane(settings=settings) as cp, proxy(cp, "web-1") as web:
        eventually(lambda: web.identity.secrets)
        web.identity.stubborn = True
        begin(cp)
        eventually(lambda: stage(cp) == "signing")
        began = time.monotonic()
        eventually(lambda: stage(cp) == "")
        assert time.monotonic() - began > 2.5


def test_a_mesh_without_proxies_is_rotated_too(cp: RunningPlatform) -> None:
    cp.apply(mesh("empty"))
    old = begin(cp, "empty")
    eventually(lambda: stage(cp, "empty") == "")
    assert builtin_ca(cp).signer("empty") != old


def test_a_stage_lasts_as_long_as_an_envoy_may_need_to_come_back(
    cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation_driver, "SHORTEST_SECONDS", 1.5)
    began = time.monotonic()
    begin(cp)
    eventually(lambda: settled(cp))
    eventually(lambda: stage(cp) == "signing")
    assert time.monotonic() - began > 1.5


def test_a_mesh_that_goes_takes_its_rotation_along(cp: RunningPlatform) -> None:
    cp.apply(mesh("shop"), dataplane("web-1", inbound("127.0.0.1:8080:80", "web"), mesh="shop"))
    with proxy(cp, "web-1", "shop") as web:
        eventually(lambda: web.bundle.secrets)
        web.bundle.stubborn = True
        begin(cp, "shop")
        assert cp.delete("/meshes/shop").status == 200
        eventually(
            lambda: not cp.request("GET", "/metrics", port=cp.diagnostics).body.count('"trusting"} 1.0')
        )
        begin(cp)
        eventually(lambda: stage(cp) == "")


# -- several control planes


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
    Instances(cp.platform.context.resources, "ghost").beat()
    began = time.monotonic()
    with structlog.testing.capture_logs() as logs:
        begin(cp)
        assert rotation(cp).body["rotation"]["settled"]["ghost"] is False
        eventually(lambda: stage(cp) == "")
    assert time.monotonic() - began > 1
    assert [entry for entry in logs if "out of time" in entry["event"]] == []
    assert "ghost" not in {item.name for item in cp.platform.context.resources.list(INSTANCE.name)}


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
    """What no code catches."""


class Crashing:
    """A leader that is driven by the test, and crashes in the given stage, around the write that ends it."""

    def __init__(self, cp: RunningPlatform, at: str, moment: str) -> None:
        self._rotations = Rotations(cp.platform.context)
        self._driver = RotationDriver(cp.platform.context, self._rotations)
        self._at, self._moment = at, moment
        self._rotations.suspect("default")

    def lead(self) -> None:
        """One step."""
        self._rotations.refresh()
        for going_on in self._rotations.current().values():
            if going_on.rotation.stage.value == self._at:
                object.__setattr__(going_on.authority, "rotatable", self._wrapped(going_on.authority))
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
            object.__setattr__(authority, "rotatable", authority.provider)

    def _wrapped(self, authority: Any) -> Any:
        moment = self._moment

        class Fragile:
            rotation = staticmethod(authority.provider.rotation)
            signer = staticmethod(authority.provider.signer)

            @staticmethod
            def advance(mesh: str, id: str) -> bool:
                if moment == "before":
                    raise Crash
                authority.provider.advance(mesh, id)
                if moment == "later":
                    time.sleep(0.3)
                raise Crash

        return Fragile()


# -- an authority of somebody else's


class TestRemoteCa(CaSuite, RotationSuite):
    @pytest.fixture
    def provider(self) -> RemoteCa:
        return RemoteCa()


def test_an_authority_that_keeps_its_stages_elsewhere_is_driven_too() -> None:
    remote = Remote()
    with running_platform([kuma_store_memory, remote]) as cp:
        cp.apply(mesh("default", mtls={"enabled": True, "ca": {"remote": {}}}), WEB)
        with proxy(cp, "web-1") as web:
            eventually(lambda: web.bundle.secrets and web.identity.secrets)
            web.bundle.stubborn = True
            began = remote.provider.rotate("default")
            eventually(lambda: len(web.trusted()) == 2)
            time.sleep(0.5)
            assert remote.provider.rotation("default") == began
            web.bundle.relent()
            eventually(lambda: remote.provider.rotation("default") is None)
            new = remote.provider.signer("default")
            eventually(lambda: web.trusted() == [new])
            verified(web.chain(), [new])


# -- what it costs, and what fails


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
    from kuma_core.builtin import instances
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
        cp.platform.context.instances.beat()
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

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def rotation(self, mesh: str) -> Any:
        if self.problem and mesh == "shop":
            raise self.problem
        return self._provider.rotation(mesh)


def test_an_authority_that_fails_holds_nobody_else_up_and_is_told_once(cp: RunningPlatform) -> None:
    authority = cp.platform.context.authorities["builtin"]
    failing = Failing(authority.provider)
    object.__setattr__(authority, "rotatable", failing)
    with structlog.testing.capture_logs() as logs:
        cp.apply(mesh("shop"))
        begin(cp)
        eventually(lambda: stage(cp) == "")
        begin(cp, "shop")
        eventually(lambda: [entry for entry in logs if "cannot be told" in entry["event"]])
        failing.problem = None
        eventually(lambda: stage(cp, "shop") == "")
    (told,) = [entry for entry in logs if "cannot be told" in entry["event"]]
    assert (told["mesh"], "the vault is sealed" in told["problem"]) == ("shop", True)


def test_hints_are_kept_while_the_store_cannot_be_reached(cp: RunningPlatform) -> None:
    authority = cp.platform.context.authorities["builtin"]
    failing = Failing(authority.provider)
    failing.problem = StoreUnavailable("no store")
    cp.apply(mesh("shop"))
    begin(cp, "shop")
    object.__setattr__(authority, "rotatable", failing)
    rotations = Rotations(cp.platform.context)
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
    context, deaf, rotations = cp.platform.context, Deaf(), Rotations(cp.platform.context)
    builtin_ca(cp).rotate("default")
    rotations.suspect("default")
    own = RotationObserver(context, rotations, deaf)
    with structlog.testing.capture_logs() as logs:
        eventually(lambda: own.look() or deaf.nudged)
        own.look()
    assert [entry["problem"] for entry in logs if "cannot be told" in entry["event"]] == [
        "there is no Mesh of that name"
    ]
