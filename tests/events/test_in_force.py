"""``kumactl apply --wait``: the end of a write's way, to the last proxy of two control planes over one store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.builtin.in_force import fences
from kuma_core.sdk import CLUSTER, ENDPOINTS, LISTENER, Config
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import FakeEnvoy, Fleet, fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.several import SharedStore
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

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
        return not found["silent"]

    eventually(noted, what="the answers of all control planes")
    return found


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
