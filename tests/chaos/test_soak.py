"""The memory of a control plane stays what it is, however often its proxies come and go."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from kuma_core.builtin.events.ring import MOST_EVENTS

from ..bench.control_plane import ControlPlane, Tls, allow_many_connections
from ..bench.push import DATAPLANES, Client, caller, connect, disconnect, echo

INSIGHTS = "meshes/default/dataplane-insights"
WARM_UP, STORMS = 10, 20
MOST_GROWTH = 0.01
"""By which share memory may grow over all storms, by their trend."""
PATIENCE_SECONDS = 120.0


@pytest.mark.parametrize("proxies", [60, pytest.param(1350, marks=pytest.mark.chaos)])
def test_memory_does_not_grow_with_reconnects(proxies: int, stack: ExitStack) -> None:
    """Each storm: all proxies connect at once, are configured and go. What it leaves is the same as before."""
    allow_many_connections()
    tls = Tls(stack)
    cp = ControlPlane(stack, tls, "store_memory", {"XDS_SERVER_DATAPLANE_STATUS_FLUSH_INTERVAL": "100ms"})
    cp.put(DATAPLANES, echo(0))
    tokens = {}
    for number in range(proxies):
        cp.put(DATAPLANES, caller(name := f"web-{number}"))
        tokens[name] = cp.token(name)
    fill_the_ring(cp)
    taken = []
    for _ in range(WARM_UP + STORMS):
        asyncio.run(storm(cp, tls, tokens))
        taken.append(cp.process.memory_info().rss)
    steady = taken[WARM_UP:]
    found = growth(steady)
    print(
        f"\n{proxies} proxies, MiB after each storm: {[round(size / 2**20) for size in taken]}; trend {found:+.2%}"
    )
    assert found <= MOST_GROWTH, [size // 2**10 for size in taken]


def fill_the_ring(cp: ControlPlane) -> None:
    """Events are remembered up to a number, which is memory well spent and not what grows here."""
    for _ in range(MOST_EVENTS // 2 + 1):
        cp.put(DATAPLANES, echo(1))
        cp.delete(f"{DATAPLANES}/echo-1")


async def storm(cp: ControlPlane, tls: Tls, tokens: dict[str, str]) -> None:
    """All proxies connect, are configured, and leave; what was stored of that is deleted, so that no storm finds more
    than the first one did."""
    clients = [Client(name, token) for name, token in tokens.items()]
    streams = await connect(clients, tls, cp.xds, lambda client: client.acknowledged >= 3)
    await disconnect(streams)
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not await asyncio.to_thread(all_are_stored, cp, len(clients)):
        assert asyncio.get_running_loop().time() < deadline, "not every stream was stored as closed"
        await asyncio.sleep(0.2)
    for name in tokens:
        await asyncio.to_thread(cp.delete, f"{INSIGHTS}/{name}")


def all_are_stored(cp: ControlPlane, count: int) -> bool:
    """Whether so many insights tell of streams that are over."""
    items: list[dict[str, Any]] = json.loads(cp.get(INSIGHTS))["items"]
    closed = [item for item in items if all("disconnectTime" in one for one in item["subscriptions"])]
    return len(closed) == count


def growth(sizes: Sequence[int]) -> float:
    """How much more the trend has at the end than at the beginning, as a share."""
    slope, level = statistics.linear_regression(range(len(sizes)), sizes)
    return slope * (len(sizes) - 1) / level


def test_the_trend_is_a_share_of_the_whole() -> None:
    assert growth([1000] * 20) == 0
    assert growth([1000 + number for number in range(20)]) == pytest.approx(0.019)
    assert growth([1000, 990] * 10) == pytest.approx(0, abs=0.003)
