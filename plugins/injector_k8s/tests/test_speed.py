"""What a Pod costs: every creation in a mesh's namespace waits for the answer."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fake_api import serving, write_pair
from .running import Injector, asked, started
from .samples import pod

PODS_A_SECOND = 50
MOST_MS = 20.0
"""Of 99 answers in 100, at that rate."""


@pytest.fixture(scope="module")
def injector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Injector]:
    folder = tmp_path_factory.mktemp("speed")
    with serving(folder / "api") as (api, kubeconfig):
        api.put("default", metrics={"prometheus": {"port": 1234, "path": "/metrics"}})
        write_pair(folder / "own")
        with started(folder / "own", kubeconfig) as running:
            yield running


def busy_pod() -> bytes:
    """A Pod with more in it than most: ten containers with probes and fifty annotations."""
    item = pod({f"example.com/{number}": "x" * 100 for number in range(50)})
    probe = {"httpGet": {"path": "/healthz", "port": 8080}}
    item["spec"]["containers"] *= 10
    item["spec"]["containers"] = [
        {**one, "name": f"c{number}", "readinessProbe": probe, "livenessProbe": probe}
        for number, one in enumerate(item["spec"]["containers"])
    ]
    return asked(item)


def answered(injector: Injector, count: int, pause: float = 0.0) -> list[float]:
    """The milliseconds of so many answers over one connection, as an API server keeps it."""
    connection, body, found = injector.connection(), busy_pod(), []
    connection.connect()
    try:
        for number in range(count):
            if pause:
                time.sleep(max(0.0, pause - found[-1] / 1000) if number else 0.0)
            began = time.perf_counter()
            connection.request("POST", "/inject-sidecar?timeout=10s", body)
            answer = connection.getresponse()
            assert b"JSONPatch" in answer.read()
            found.append((time.perf_counter() - began) * 1000)
    finally:
        connection.close()
    return found


def cpu_ms(injector: Injector) -> float:
    """The time that the program was at work so far."""
    fields = Path(f"/proc/{injector.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def test_a_pod_takes_a_small_part_of_the_time_that_there_is(injector: Injector) -> None:
    """Counted as work, which another program of the machine does not change."""
    count = 200
    before = cpu_ms(injector)
    answered(injector, count)
    assert (cpu_ms(injector) - before) / count <= MOST_MS / 2


@pytest.mark.chaos
def test_99_of_100_pods_wait_no_longer_than_promised(injector: Injector) -> None:
    """At 50 Pods a second over four connections, for 20 seconds; with TLS and the way there and back."""
    times: list[float] = []
    clients = 4
    threads = [
        threading.Thread(
            target=lambda: times.extend(
                answered(injector, 20 * PODS_A_SECOND // clients, clients / PODS_A_SECOND)
            )
        )
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 20 * PODS_A_SECOND
    percentiles = statistics.quantiles(times, n=100)
    print(f"ms: median {percentiles[49]:.2f}, p99 {percentiles[98]:.2f}, {injector.resident_mib():.1f} MiB")
    assert percentiles[98] <= MOST_MS
