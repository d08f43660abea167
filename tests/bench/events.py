"""How long one endpoint change takes to reach N proxies while 500 clients follow events, beside the same without them.

    python -m tests.bench.events [--clients 300] [--followers 500] [--changes 7]

The followers live in a process of their own, so that what they cost is what the control plane pays for them. Each
change is a write, so that each of them gets an event. Rounds with and without followers take turns on one control
plane.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from contextlib import ExitStack

from .control_plane import ControlPlane, Tls, allow_many_connections, line, row, start
from .push import DATAPLANES, INSTANCES, Client, caller, connect, disconnect, echo, rounds

TURNS = 3


async def main(count: int, followers: int, changes: int, turns: int = TURNS) -> None:
    """Measure, and print."""
    allow_many_connections()
    took: dict[bool, list[float]] = {False: [], True: []}
    cpu = {False: 0.0, True: 0.0}
    with ExitStack() as stack:
        tls = Tls(stack)
        cp = ControlPlane(stack, tls, "store_memory")
        for number in range(INSTANCES):
            cp.put(DATAPLANES, echo(number))
        names = [f"web-{number}" for number in range(count)]
        for name in names:
            cp.put(DATAPLANES, caller(name))
        clients = [Client(name, cp.token(name)) for name in names]
        tasks = await connect(clients, tls, cp.xds, lambda client: client.acknowledged >= 3)
        ports = iter(range(INSTANCES, 1000))

        async def change(_: int) -> None:
            await asyncio.to_thread(cp.put, DATAPLANES, echo(next(ports)))

        for _ in range(turns):
            for with_followers in (False, True):
                with ExitStack() as turn:
                    if with_followers:
                        await _followed(turn, cp, followers)
                    before = cp.cpu()
                    took[with_followers] += await rounds(clients, changes, change)
                    cpu[with_followers] += cp.cpu() - before
        await disconnect(tasks)
    ratio = statistics.median(took[True]) / statistics.median(took[False])
    print(f"one endpoint change, {count} delta clients over TLS, {followers} clients of events")
    print(row("accepted PUT to the last ACK, nobody follows", took[False]))
    print(row("the same while all of them follow", took[True]))
    print(line("ratio (medians)", ratio))
    each = 1000 / turns / changes
    print(line("CPU of the control plane per change, alone", cpu[False] * each, "ms"))
    print(line("the same while all of them follow", cpu[True] * each, "ms"))


async def _followed(stack: ExitStack, cp: ControlPlane, followers: int) -> None:
    command = [sys.executable, "-m", "tests.bench.followers", str(cp.events), str(followers)]
    start(stack, command)
    deadline = time.monotonic() + 60
    while cp.metric("kuma_events_clients") < followers:
        assert time.monotonic() < deadline, "not all clients follow"
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=int(os.environ.get("CLIENTS", "300")))
    parser.add_argument("--followers", type=int, default=500)
    parser.add_argument("--changes", type=int, default=7)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.clients, arguments.followers, arguments.changes))
