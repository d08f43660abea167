"""How fast a write on one control plane reaches the proxies of another: as fast as those of its own."""

from __future__ import annotations

import random
import statistics
import time

import pytest

import kuma_store_postgres
from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.fake_envoy import fleet
from kuma_core.testing.platform import running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient

from .server import Server

LONGEST_PAUSE = 0.15
"""Between two writes: some are the first after quiet, and some are gathered with those before them."""
NAMES = ("own", "other")


@pytest.mark.parametrize("writes", [40, pytest.param(400, marks=pytest.mark.chaos)])
def test_a_write_reaches_the_proxies_of_others_as_fast_as_its_own(
    server: Server, database: str, writes: int
) -> None:
    environ, plugins = server.environ(database), [kuma_store_postgres]
    with running_platform(plugins, environ) as one, running_platform(plugins, environ) as two:
        one.apply(dataplane("orders-1", inbound("10.0.0.1:80:80", "orders")), *map(_caller, NAMES))
        with fleet(one) as first, fleet(two) as second:
            clients = [DeltaClient(f"default.{name}") for name in NAMES]
            diaries = [_Diary(client) for client in clients]
            for envoys, client in zip((first, second), clients, strict=True):
                envoys.connect(client)
            for diary in diaries:
                diary.arrival("10.0.0.1")
            took: list[list[float]] = [[], []]
            for number in range(writes):
                address = f"10.1.{number // 250}.{number % 250 + 1}"
                began = time.monotonic()
                one.apply(dataplane("orders-1", inbound(f"{address}:80:80", "orders")))
                for diary, times in zip(diaries, took, strict=True):
                    times.append(diary.arrival(address) - began)
                time.sleep(random.random() * LONGEST_PAUSE)
    own, other = (statistics.median(times) for times in took)
    for name, times in zip(NAMES, took, strict=True):
        print(f"\n{writes} writes, {name} proxy: {_shown(times)}")
    assert other < 1.5 * own + 0.02


class _Diary:
    """Notes when a client is sent something."""

    def __init__(self, client: DeltaClient) -> None:
        self._arrived: list[tuple[float, bytes]] = []
        take = client.take

        def noted(data: bytes) -> list[bytes]:
            self._arrived.append((time.monotonic(), data))
            return take(data)

        client.take = noted  # type: ignore[method-assign]

    def arrival(self, address: str) -> float:
        """When an endpoint of that address came."""
        needle = address.encode()
        return eventually(lambda: next((at for at, data in list(self._arrived) if needle in data), None))


def _caller(name: str) -> dict[str, object]:
    calls = [outbound("127.0.0.1:9000", "orders")]
    return dict(dataplane(name, inbound("10.0.0.5:80:80", "web"), outbounds=calls))


def _shown(times: list[float]) -> str:
    ordered = sorted(1000 * item for item in times)
    p99 = ordered[int(0.99 * len(ordered))]
    return f"median {statistics.median(ordered):.1f} ms, 99 of 100 within {p99:.1f} ms, at most {ordered[-1]:.1f} ms"
