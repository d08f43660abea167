"""``GET /changes``: what happened lately, of what the control plane remembers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kuma_store_memory
from kuma_core.builtin.events.contract import RESOURCE, STATUS, Event
from kuma_core.builtin.events.ring import Ring
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

WEB = dataplane("web-1", inbound("127.0.0.1:8000:1", "web"))


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory]) as found:
        yield found


def told(cp: RunningPlatform, query: str = "") -> list[tuple[str, str, str]]:
    items = cp.get(f"/changes{query}").body["items"]
    return [(item["type"], item.get("op", item.get("state", "")), item["name"]) for item in items]


def test_what_was_written_and_who_came_the_newest_first(cp: RunningPlatform) -> None:
    cp.apply({"type": "Mesh", "name": "shop"}, {**WEB, "mesh": "shop"})
    with fleet(cp) as envoys:
        envoys.connect(DeltaClient("shop.web-1"))
        expected = [("status", "Online", "web-1"), ("resource", "put", "web-1"), ("resource", "put", "shop")]
        eventually(lambda: told(cp, "?mesh=shop") == expected)
    assert told(cp, "?mesh=shop&type=resource&size=1") == [("resource", "put", "web-1")]
    assert told(cp, "?mesh=nowhere") == []


def test_times_and_nothing_that_is_empty(cp: RunningPlatform) -> None:
    cp.apply({"type": "Mesh", "name": "bank"})
    eventually(lambda: told(cp, "?mesh=bank"))
    found = cp.get("/changes?mesh=bank").body
    (item,) = found["items"]
    assert set(item) == {"at", "type", "kind", "mesh", "op", "name"}
    assert found["since"] <= item["at"]


@pytest.mark.parametrize("query", ["?type=nonsense", "?size=0", "?size=x"])
def test_what_cannot_be_asked_is_refused(cp: RunningPlatform, query: str) -> None:
    assert cp.get(f"/changes{query}").status == 400


def test_what_the_ring_forgot_is_not_told() -> None:
    ring = Ring("e", most=3)
    for number in range(5):
        ring.add(Event(RESOURCE if number % 2 else STATUS, "Dataplane", "default", {"name": str(number)}))
    found = [event.data["name"] for _, event in ring.latest(frozenset((RESOURCE, STATUS)), "", 10)]
    assert found == ["4", "3", "2"]
    assert [event.data["name"] for _, event in ring.latest(frozenset((STATUS,)), "", 1)] == ["4"]
