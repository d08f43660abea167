"""How long one endpoint change takes to reach N proxies while 500 clients follow events, and while clients come and go
a thousand times a second, beside the same without any.

    python -m tests.bench.events [--clients 300] [--followers 500] [--rate 1000] [--changes 7]

The clients of events live in a process of their own, so that what they cost is what the control plane pays for them.
Each change is a write, so that each of them gets an event. Rounds of the three kinds take turns on one control plane.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from .control_plane import ControlPlane, Tls, allow_many_connections, line, row, start
from .push import DATAPLANES, INSTANCES, Client, caller, connect, disconnect, echo, rounds

TURNS = 3
NOBODY, FOLLOWED, RECONNECTING = "nobody", "all of them follow", "clients come and go"
MEBIBYTE = 1 << 20


class Load:
    """Clients of events, of one kind at a time; ``served`` counts those that came and went."""

    def __init__(self, cp: ControlPlane, followers: int, rate: int, folder: Path) -> None:
        self._cp, self._followers, self._rate, self._file = cp, followers, rate, folder / "served"
        self.served, self.seconds = 0, 0.0

    async def begin(self, kind: str, stack: ExitStack) -> None:
        """Have them there until the stack ends."""
        if kind == FOLLOWED:
            self._start(stack, "followers", str(self._followers))
            await _until(lambda: self._cp.metric("kuma_events_clients") >= self._followers)
        elif kind == RECONNECTING:
            self._file.write_text("0")
            self._start(stack, "reconnecting", str(self._rate), str(self._file))
            await _until(lambda: int(self._file.read_text() or 0) > 0)
            stack.callback(self._count, time.monotonic())
        await asyncio.sleep(0.5)

    def _start(self, stack: ExitStack, module: str, *arguments: str) -> None:
        start(stack, [sys.executable, "-m", f"tests.bench.{module}", str(self._cp.events), *arguments])

    def _count(self, began: float) -> None:
        self.served += int(self._file.read_text() or 0)
        self.seconds += time.monotonic() - began


async def main(count: int, followers: int, changes: int, turns: int = TURNS, rate: int = 1000) -> None:
    """Measure, and print."""
    allow_many_connections()
    kinds = (NOBODY, FOLLOWED, RECONNECTING)
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    cpu, resident = Counter[str](), list[float]()
    with ExitStack() as stack:
        tls = Tls(stack)
        cp = ControlPlane(stack, tls, "store_memory")
        load = Load(cp, followers, rate, Path(stack.enter_context(TemporaryDirectory())))
        clients = _callers(cp, count)
        tasks = await connect(clients, tls, cp.xds, lambda client: client.acknowledged >= 3)
        ports = iter(range(INSTANCES, 1000))

        async def change(_: int) -> None:
            await asyncio.to_thread(cp.put, DATAPLANES, echo(next(ports)))

        for _ in range(turns):
            for kind in kinds:
                with ExitStack() as turn:
                    await load.begin(kind, turn)
                    before = cp.cpu()
                    took[kind] += await rounds(clients, changes, change)
                    cpu[kind] += cp.cpu() - before
                resident.append(cp.process.memory_info().rss / MEBIBYTE)
        await disconnect(tasks)
    print(
        f"one endpoint change, {count} delta clients over TLS; {followers} clients follow, or {rate} come a second"
    )
    _print(took, {kind: cpu[kind] / turns / changes for kind in kinds})
    print(line("clients that came and went, a second", load.served / load.seconds))
    print(line("resident after the first turn with them", resident[len(kinds) - 1], "MiB"))
    print(line("resident at the end", resident[-1], "MiB"))


def _callers(cp: ControlPlane, count: int) -> list[Client]:
    for number in range(INSTANCES):
        cp.put(DATAPLANES, echo(number))
    names = [f"web-{number}" for number in range(count)]
    for name in names:
        cp.put(DATAPLANES, caller(name))
    return [Client(name, cp.token(name)) for name in names]


def _print(took: Mapping[str, Sequence[float]], cpu: Mapping[str, float]) -> None:
    print(row("accepted PUT to the last ACK, nobody follows", took[NOBODY]))
    print(line("CPU of the control plane per change", cpu[NOBODY] * 1000, "ms"))
    for kind in (FOLLOWED, RECONNECTING):
        print(row(f"the same while {kind}", took[kind]))
        ratio = statistics.median(took[kind]) / statistics.median(took[NOBODY])
        print(line("  ratio (medians)", ratio))
        print(line("  CPU of the control plane per change", cpu[kind] * 1000, "ms"))


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the clients of events are not there"
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=int(os.environ.get("CLIENTS", "300")))
    parser.add_argument("--followers", type=int, default=500)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=7)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.clients, arguments.followers, arguments.changes, rate=arguments.rate))
