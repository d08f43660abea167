"""``kumactl apply --wait``: the end of a write's way, to the last proxy of two control planes over one store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin.cluster.kinds import INSTANCE
from kuma_core.builtin.cluster.specs import InstanceSpec
from kuma_core.builtin.in_force import fences
from kuma_core.sdk import CLUSTER, ENDPOINTS, LISTENER, Config
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import FakeEnvoy, Fleet, fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.maker import Generated
from kuma_core.xds.proxy import Proxy

from .test_commands import configured, run

Pair = tuple[RunningPlatform, RunningPlatform]


def stand_still(client: DeltaClient) -> None:
    """From now on the Envoy answers nothing any more."""
    client.take = lambda data: []  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    (factory,) = kuma_store_memory.kuma_register_stores()
    with factory.open(Config([], {}, {})) as store:
        shared = SharedStore(store)
        with running_platform([shared]) as one, running_platform([shared]) as two:
            one.apply(*(web(f"web-{number}") for number in (1, 2)), orders(80))
            yield one, two


def web(name: str) -> dict[str, Any]:
    own = inbound("10.0.0.5:80:80", "web")
    return dict(dataplane(name, own, outbounds=[outbound("127.0.0.1:9000", "orders")]))


def caller(name: str, service: str) -> dict[str, Any]:
    own = inbound("10.0.0.6:80:80", "web")
    return dict(dataplane(name, own, outbounds=[outbound("127.0.0.1:9000", service)]))


def other(service: str, port: int = 80) -> dict[str, Any]:
    return dict(dataplane(f"{service}-1", inbound(f"10.0.0.2:{port}:80", service)))


def orders(port: int) -> dict[str, Any]:
    return dict(dataplane("orders-1", inbound(f"10.0.0.1:{port}:80", "orders")))


def apply(cp: RunningPlatform, folder: Path, document: dict[str, Any], *arguments: str) -> Any:
    (folder / "document").write_text(json.dumps(document))
    config = configured(cp.api_url, folder)
    return run(config, "apply", "-f", str(folder / "document"), "--wait", *arguments)


def connect(envoys: Fleet, client: DeltaClient) -> FakeEnvoy:
    envoy = envoys.connect(client)
    eventually(lambda: client.received, what="a first configuration")
    return envoy


def state(cp: RunningPlatform, query: str = "") -> dict[str, Any]:
    answer = cp.request("POST", f"/in-force{query}")
    assert answer.status == 201, answer
    found: dict[str, Any] = {}

    def noted() -> bool:
        found.update(cp.get(f"/in-force/{answer.body['id']}").body)
        return bool(found["inForce"] or found["count"])

    eventually(noted, what="the answers of all control planes")
    return found | {"id": answer.body["id"]}


def test_it_ends_when_the_proxies_of_both_have_acknowledged(pair: Pair, tmp_path: Path) -> None:
    one, two = pair
    with fleet(one) as first, fleet(two) as second:
        clients = [DeltaClient("default.web-1"), DeltaClient("default.web-2")]
        connect(first, clients[0])
        connect(second, clients[1])
        done = apply(one, tmp_path, orders(81))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[0] == 'updated Dataplane "orders-1"'
        assert done.stdout.splitlines()[1].startswith("in force after ")
        for client in clients:
            assert any(b"\x18Q" in packed for packed in client.resources[ENDPOINTS].values()), (
                "an endpoint on port 81"
            )


def test_a_stuck_proxy_of_the_other_one_is_named(pair: Pair, tmp_path: Path) -> None:
    one, two = pair
    with fleet(one) as first, fleet(two) as second:
        stuck = DeltaClient("default.web-2")
        connect(first, DeltaClient("default.web-1"))
        envoy = connect(second, stuck)
        eventually(lambda: state(one)["inForce"])
        stand_still(stuck)
        done = apply(one, tmp_path, orders(82), "--timeout=2s")
        assert done.returncode == 1
        why = "it has not acknowledged its newest configuration yet"
        assert done.stderr.splitlines() == [
            "Error: everything is applied, but not in force everywhere after 2 s:",
            f"* default/web-2, at control plane {two.platform.instance_id}: {why}",
        ]
        second.disconnect(envoy)
        eventually(lambda: state(one)["inForce"], what="nobody to wait for")


def test_who_keeps_an_older_one_is_told_with_the_reason_and_other_meshes_wait_for_nobody(pair: Pair) -> None:
    one, _ = pair
    with fleet(one) as envoys:
        client = DeltaClient("default.web-1")
        connect(envoys, client)
        eventually(lambda: state(one)["inForce"])
        one.platform.core.proxies.streams.set_problem(
            one.platform.core.proxies.reconciler.connected("default", "web-1")[0], "generator: no"
        )
        found = state(one, "?mesh=default")
        assert found["behind"] == [
            {
                "mesh": "default",
                "name": "web-1",
                "reason": "it keeps an older configuration: generator: no",
                "controlPlane": one.platform.instance_id,
            }
        ]
        assert state(one, "?mesh=another")["inForce"]


def test_who_was_stuck_before_and_gets_nothing_new_holds_up_nobody(pair: Pair, tmp_path: Path) -> None:
    """One refuses what it has since yesterday, one has not answered for long; the change concerns the others."""
    one, two = pair
    one.apply(caller("web-3", "else"), caller("web-4", "more"), orders(80), other("else"), other("more"))
    with fleet(one) as first, fleet(two) as second:
        refusing, silent = DeltaClient("default.web-3"), DeltaClient("default.web-4")
        connect(first, silent)
        connect(second, refusing)
        connect(second, DeltaClient("default.web-2"))
        eventually(lambda: state(one)["inForce"])
        refusing.reject[ENDPOINTS] = "no such port"
        one.apply(other("else", 99))
        eventually(lambda: "no such port" in str(state(one)["behind"]))
        stand_still(silent)
        one.apply(other("more", 98))
        eventually(lambda: state(one)["count"] == 2)
        done = apply(one, tmp_path, orders(86))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[1].startswith("in force after ")
        remark = "2 others were behind before, for other reasons: see kumactl inspect dataplanes"
        assert done.stdout.splitlines()[2] == remark
        nobody = apply(two, tmp_path, other("unused"))
        assert nobody.returncode == 0, nobody.stderr
        late = apply(two, tmp_path, other("else", 97), "--timeout=2s")
        assert late.stderr.splitlines()[1:] == [
            f"* default/web-3, at control plane {two.platform.instance_id}: "
            "it rejected its configuration: no such port",
            "1 other was behind before, for other reasons: see kumactl inspect dataplanes",
        ]


def test_a_plugin_that_failed_before_holds_up_nobody_and_one_that_fails_now_does(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    with fleet(one) as envoys:
        connect(envoys, DeltaClient("default.web-1"))
        connect(envoys, DeltaClient("default.orders-1"))
        eventually(lambda: state(two)["inForce"])
        fails(monkeypatch, one, "web-1", "no idea")
        one.apply(orders(87))
        eventually(lambda: state(two)["count"] == 1)
        done = apply(two, tmp_path, orders(88))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[2].startswith("1 other was behind before")
        fails(monkeypatch, one, "orders-1", "no idea either")
        done = apply(two, tmp_path, orders(89), "--timeout=1s")
        assert [line.partition(": ")[2] for line in done.stderr.splitlines()[1:-1]] == [
            "it keeps an older configuration: no idea either"
        ]
    monkeypatch.undo()
    one.platform.core.proxies.reconciler.renew()


def fails(monkeypatch: pytest.MonkeyPatch, cp: RunningPlatform, name: str, problem: str) -> None:
    """From now on nothing can be made for a proxy."""
    maker = cp.platform.core.proxies.reconciler.maker
    generate = maker.generate

    def failing(proxy: Proxy, views: Any, waits: bool = False) -> Generated:
        found = generate(proxy, views, waits)
        return replace(found, snapshot=None, problem=problem) if proxy.name == name else found

    monkeypatch.setattr(maker, "generate", failing)


def test_a_control_plane_that_does_not_answer_has_everybody_waited_for(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows then which of its proxies were behind before."""
    one, _ = pair
    with fleet(one) as envoys:
        stuck = DeltaClient("default.web-1")
        connect(envoys, stuck)
        eventually(lambda: state(one)["inForce"])
        stand_still(stuck)
        one.apply(orders(90))
        eventually(lambda: state(one)["count"] == 1)
        instances = one.offer("builtin.cluster").instances
        instances._resources.amend(
            INSTANCE.key("", "killed"), lambda spec: InstanceSpec(beats=1, version="1")
        )
        try:
            done = apply(one, tmp_path, other("unused", 2), "--timeout=1s")
        finally:
            instances.remove("killed")
        assert "* default/web-1, at" in done.stderr
        assert "* the control plane killed has not answered" in done.stderr


def test_a_fence_since_another_one_is_set_once_and_since_none_that_is_over(pair: Pair) -> None:
    one, two = pair
    first = state(one)["id"]
    second = state(two, f"?since={first}")
    assert (second["inForce"], second["before"]) == (True, 0)
    eventually(lambda: one.request("POST", f"/in-force?since={first}").status == 404)
    assert one.request("POST", "/in-force?since=nothing").status == 404
    assert state(one, f"?since={second['id']}")["inForce"], (
        "nor is it too late for one that has a since itself"
    )


def test_bad_requests(pair: Pair) -> None:
    one, _ = pair
    assert one.get("/in-force/nothing").body["details"] == "Not found"
    assert one.request("POST", "/in-force?" + "&".join(f"mesh=m{n}" for n in range(101))).status == 400


def test_fences_are_few_and_end(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    with fleet(one) as envoys:
        stuck = DeltaClient("default.web-1")
        connect(envoys, stuck)
        eventually(lambda: state(one)["inForce"])
        monkeypatch.setattr(fences, "MOST_FENCES", 2)
        stand_still(stuck)
        one.apply(orders(83))
        for _ in range(2):
            assert not state(one)["inForce"]
        answer = one.request("POST", "/in-force")
        assert (answer.status, answer.body["details"][:32]) == (503, "too many others wait for their w")
    with monkeypatch.context() as patch:
        patch.setattr(fences, "LIFE_SECONDS", 0.0)
        patch.setattr(fences, "SETTLED_SECONDS", 0.0)
        notes = two.offer("builtin.cluster").notes
        eventually(lambda: not any(notes("Fence").values()), what="no note of a fence that is over")
    assert state(two)


def test_a_refusal_is_told_in_envoys_words(pair: Pair, tmp_path: Path) -> None:
    one, two = pair
    with fleet(two) as envoys:
        client = DeltaClient("default.web-2")
        connect(envoys, client)
        eventually(lambda: state(one)["inForce"])
        client.reject[CLUSTER] = client.reject[ENDPOINTS] = client.reject[LISTENER] = "no such thing"
        done = apply(one, tmp_path, orders(84), "--timeout=2s")
        assert done.returncode == 1
        assert done.stderr.splitlines()[1].endswith("it rejected its configuration: no such thing")
        client.reject.clear()
        assert apply(one, tmp_path, orders(85)).returncode == 0


def test_a_fence_rests_before_it_is_settled_unless_nobody_got_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looks that come one on the heels of the other count as one."""
    monkeypatch.setattr(fences, "CALM_SECONDS", 1000.0)
    fence = fences.Fence({"default"})
    for _ in range(3):
        fence.look(is_calm=True, is_touched=True)
        assert not fence.is_settled
    fence.look(is_calm=True, is_touched=False)
    assert fence.is_settled
    monkeypatch.setattr(fences, "CALM_SECONDS", 0.0)
    fence.look(is_calm=True, is_touched=True)
    assert fence.is_settled
    fence.look(is_calm=False, is_touched=True)
    assert not fence.is_settled
