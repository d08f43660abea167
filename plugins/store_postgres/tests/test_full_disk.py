"""A full disk under PostgreSQL: writes are refused with the reason, all else goes on, and nobody has to restart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kuma_store_postgres
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import JsonAnswer, RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

from .server import with_template
from .small_disk import SmallDiskServer, small_disk_server
from .test_platform import ORDERS, _client, _sees, ready

SENTENCE = "The store takes no writes at the moment: its disk is full; try again later"


@pytest.fixture
def small() -> Iterator[SmallDiskServer]:
    with small_disk_server() as server, with_template(server):
        yield server


def test_a_full_disk(small: SmallDiskServer) -> None:
    with (
        small.database(small.template) as name,
        running_platform([kuma_store_postgres], small.environ(name)) as cp,
        fleet(cp) as envoys,
    ):
        cp.apply(ORDERS, _client(), dataplane("web-2", inbound("10.0.0.6:80:80", "web"), outbounds=CALLS))
        envoy = envoys.connect(DeltaClient("default.web-1"))
        eventually(lambda: _sees(envoy.client, "10.0.0.1"))
        small.fill()

        stored = _fill_the_table(cp)
        answer = cp.put("/meshes/default/dataplanes/late", _large("late"))
        assert (answer.status, answer.body["details"]) == (503, SENTENCE)
        assert set(answer.body) == {"title", "details"}

        items = cp.get("/meshes/default/dataplanes?size=1000").body["items"]
        assert {item["name"] for item in items} == {"orders-1", "web-1", "web-2", *stored}
        assert ready(cp) == 200
        assert envoy.code is None
        late = envoys.connect(DeltaClient("default.web-2"))
        eventually(lambda: _sees(late.client, "10.0.0.1"), what="a proxy that comes while the disk is full")

        small.free()
        cp.apply(_large("late"), dataplane("orders-1", inbound("10.0.0.9:80:80", "orders")))
        for client in (envoy.client, late.client):
            eventually(lambda client=client: _sees(client, "10.0.0.9"))  # type: ignore[misc]
        assert cp.get("/meshes/default/dataplanes/late").status == 200


CALLS = [outbound("127.0.0.1:9000", "orders")]


def _fill_the_table(cp: RunningPlatform) -> list[str]:
    """Write until a write is refused; the names of what was acknowledged."""
    stored: list[str] = []

    def refused() -> JsonAnswer | None:
        answer = cp.put(f"/meshes/default/dataplanes/filler-{len(stored)}", _large(f"filler-{len(stored)}"))
        if answer.status == 201:
            stored.append(f"filler-{len(stored)}")
            return None
        return answer

    answer = eventually(refused, 60, "a write that is refused")
    assert (answer.status, answer.body["details"]) == (503, SENTENCE)
    return stored


def _large(name: str) -> dict[str, object]:
    """A Dataplane of 200 inbounds, in words that do not repeat, since repetitions would be compressed."""
    inbounds = [inbound(f"10.9.{number}.1:80:80", f"s{hash((name, number))}") for number in range(200)]
    return dict(dataplane(name, *inbounds))
