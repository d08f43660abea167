"""Listing 10 000 dataplanes takes time in proportion to their number, over REST and as a kumactl table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kuma_core.sdk import ResourceKey
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

from .support import Shell, plugins

FEW, MANY = 1_000, 10_000
MARGIN = 3.0
"""How much more than ten times as long ten times as many may take: other work goes on beside a measurement, and the
few fit into caches. Were the time that of the square, it would be ten times more."""


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform(plugins()) as platform:
        yield platform


@pytest.fixture
def shell(cp: RunningPlatform, tmp_path: Path) -> Iterator[Shell]:
    with ExitStack() as stack:
        found = Shell(tmp_path, stack)
        found.good(f"kumactl config control-planes add --name test --address {cp.api_url}")
        yield found


def _fill(cp: RunningPlatform, start: int, end: int) -> None:
    """Dataplanes straight into the store; back when the control plane has taken notice."""
    for number in range(start, end):
        inbound = {
            "interface": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:8080:80",
            "tags": {"service": f"service-{number % 100}", "version": str(number % 3)},
        }
        document = json.dumps({"networking": {"inbound": [inbound]}})
        cp.platform.core.store.create(ResourceKey("Dataplane", "default", f"dp-{number:05}"), document)
    eventually(_at_rest, 60, "a control plane at rest")


def _at_rest() -> bool:
    """Whether this process, the control plane in it, does next to nothing."""
    before = time.process_time()
    time.sleep(0.3)
    return time.process_time() - before < 0.03


def _seconds(work: Callable[[int], object], count: int) -> float:
    start = time.perf_counter()
    work(count)
    return time.perf_counter() - start


def _rest(cp: RunningPlatform, count: int) -> None:
    items = cp.get("/meshes/default/dataplanes").body["items"]
    assert len(items) == count
    assert [item["name"] for item in items[:: count // 10]] == [
        f"dp-{n:05}" for n in range(0, count, count // 10)
    ]


def _table(shell: Shell, count: int) -> None:
    lines = shell.good("kumactl get dataplanes").splitlines()
    assert len(lines) == count + 1
    assert lines[-1].split() == [
        "default",
        f"dp-{count - 1:05}",
        f"service=service-{(count - 1) % 100}",
        lines[-1].split()[-1],
    ]


@pytest.mark.bench
def test_listing_is_linear(cp: RunningPlatform, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """A table costs a start of the program beside; it is taken off before the two are compared, and what is left
    counts as no less than the answer over REST that it is made of."""
    ways: dict[str, Callable[[int], object]] = {
        "start": lambda count: shell.good("kumactl get meshes"),
        "REST": lambda count: _rest(cp, count),
        "table": lambda count: _table(shell, count),
    }
    taken: dict[tuple[str, int], float] = {}
    for before, count in ((0, FEW), (FEW, MANY)):
        _fill(cp, before, count)
        for way, work in [*ways.items()] * 3:
            seconds = _seconds(work, count)
            taken[way, count] = min(seconds, taken.get((way, count), seconds))
    with capsys.disabled():
        print("".join(f"\n{way}, {count} dataplanes: {took:.3f} s" for (way, count), took in taken.items()))
    limit = MARGIN * MANY / FEW
    assert taken["REST", MANY] < limit * taken["REST", FEW]
    few, many = (taken["table", count] - taken["start", count] for count in (FEW, MANY))
    assert many < limit * max(few, taken["REST", FEW])
