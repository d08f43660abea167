"""The root of a mesh is rotated: each stage reaches every proxy, and waits for it."""

from __future__ import annotations

import time

import pytest
import structlog

import kuma_store_memory
from kuma_core.builtin.rotation import driver as rotation_driver
from kuma_core.testing.authorities import CaSuite, RotationSuite, verified
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

from .remote_ca import Remote, RemoteCa
from .rotations import WEB, begin, control_plane, settled
from .support import builtin_ca, proxy, stage, stays

pytestmark = pytest.mark.usefixtures("short")


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
    eventually(lambda: cp.offer("builtin.cluster").notes("ca-rotations")[cp.platform.instance_id] == {})


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
