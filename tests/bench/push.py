"""How long one endpoint change takes to reach N proxies, beside a bare gRPC server that sends the same bytes.

    python -m tests.bench.push [--clients 300] [--changes 7]

Measured from the answer to the ``PUT`` until the last client wrote its ACK. Absolute times depend on the machine
and on who else uses it; the ratio to the floor, taken in the same run, is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import grpc

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import ENDPOINTS
from kuma_core.xds.encoding import tagged
from kuma_core.xds.fields import Fields

from .control_plane import ControlPlane, Tls, allow_many_connections, line, row, start
from .floor import ADS

INSTANCES = 20
DATAPLANES = "meshes/default/dataplanes"


class Client:
    """A proxy that is configured as an Envoy is, and from then on only acknowledges endpoints, cheaply.

    With ``cheap`` it does so from the first response on.
    """

    def __init__(self, name: str, token: str = "", cheap: bool = False, mesh: str = "default") -> None:
        self._envoy = DeltaClient(f"{mesh}.{name}")
        self._metadata = (("authorization", token),) if token else ()
        self._cheap = cheap
        self.acknowledged = 0
        self.last_response = b""

    async def run(self, channel: grpc.aio.Channel) -> None:
        async with channel:
            call = channel.stream_stream(ADS)(metadata=self._metadata)
            for request in self._envoy.begin():
                await call.write(request)
            while (data := await call.read()) is not grpc.aio.EOF:
                for request in self._answer(data):
                    await call.write(request)
                self.acknowledged += 1

    def _answer(self, data: bytes) -> list[bytes]:
        found = Fields(data)
        if self._cheap or (found.text(4) == ENDPOINTS and self._envoy.count(ENDPOINTS)):
            self.last_response = data
            return [tagged(2, ENDPOINTS.encode()) + tagged(6, found.last(5) or b"")]
        return self._envoy.take(data)


async def rounds(
    clients: list[Client], changes: int, change: Callable[[int], Awaitable[None]]
) -> list[float]:
    """The seconds that each change took to be acknowledged by all."""
    took = []
    for number in range(changes):
        targets = [client.acknowledged + 1 for client in clients]
        await change(number)
        began = time.perf_counter()
        while any(client.acknowledged < target for client, target in zip(clients, targets, strict=True)):
            await asyncio.sleep(0.001)
            assert time.perf_counter() - began < 60, "not all clients acknowledged within a minute"
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.3)  # quiet, so that the next change is a first one again
    return took


def echo(number: int) -> dict[str, Any]:
    return dataplane(f"echo-{number}", inbound(f"127.0.0.1:{20000 + number}:9000", "echo"))


def caller(name: str) -> dict[str, Any]:
    return dataplane(name, inbound("127.0.0.1:8000:8001", "web"), outbounds=[outbound(":7100", "echo")])


async def connect(clients: list[Client], tls: Tls, port: int, ready: Callable[[Client], bool]) -> list[Any]:
    tasks = [asyncio.create_task(client.run(tls.channel(port))) for client in clients]
    deadline = time.monotonic() + 120
    while not all(ready(client) for client in clients):
        await asyncio.sleep(0.05)
        failed = [task.exception() for task in tasks if task.done()]
        assert not failed, f"a client was turned away: {failed[0]}"
        assert time.monotonic() < deadline, "not all clients were configured"
    return tasks


async def disconnect(tasks: list[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def measure_control_plane(tls: Tls, count: int, changes: int) -> dict[str, Any]:
    with ExitStack() as stack:
        cp = ControlPlane(stack, tls, "store_memory")
        for number in range(INSTANCES):
            cp.put(DATAPLANES, echo(number))
        names = [f"web-{number}" for number in range(count)]
        for name in names:
            cp.put(DATAPLANES, caller(name))
        clients = [Client(name, cp.token(name)) for name in names]
        began = time.perf_counter()
        tasks = await connect(clients, tls, cp.xds, lambda client: client.acknowledged >= 3)
        connected = time.perf_counter() - began

        async def change(number: int) -> None:
            await asyncio.to_thread(cp.put, DATAPLANES, echo(INSTANCES + number))

        cpu = cp.cpu()
        took = await rounds(clients, changes, change)
        cpu = cp.cpu() - cpu
        memory = cp.process.memory_info().rss
        await disconnect(tasks)
    response = clients[0].last_response
    return {"took": took, "cpu": cpu / changes, "rss": memory, "connected": connected, "response": response}


async def measure_floor(tls: Tls, count: int, changes: int, data: bytes) -> list[float]:
    with ExitStack() as stack:
        port = free_port()
        start(stack, [sys.executable, "-m", "tests.bench.floor", str(port), str(tls.chain), str(tls.key)])
        async with tls.channel(port) as channel:
            await asyncio.wait_for(channel.channel_ready(), 30)
            broadcast = channel.unary_unary("/floor/Broadcast")
            clients = [Client(f"web-{number}", cheap=True) for number in range(count)]
            tasks = await connect(clients, tls, port, lambda client: True)
            while int(await broadcast(b"")) < count:  # until every stream is open
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)

            async def change(_: int) -> None:
                await broadcast(data)

            took = await rounds(clients, changes, change)
            await disconnect(tasks)
    return took


async def main(count: int, changes: int) -> None:
    allow_many_connections()
    with ExitStack() as stack:
        tls = Tls(stack)
        found = await measure_control_plane(tls, count, changes)
        floor = await measure_floor(tls, count, changes, found["response"])
    ratio = statistics.median(found["took"]) / statistics.median(floor)
    print(
        f"one endpoint change, {count} delta clients over TLS, {len(found['response'])} bytes each, "
        f"{changes} changes"
    )
    print(row("accepted PUT to the last ACK", found["took"]))
    print(row("floor: the same bytes by bare grpc.aio", floor))
    print(line("ratio to the floor (medians)", ratio))
    print(line("CPU of the control plane per change", found["cpu"] * 1000, "ms"))
    print(line("resident memory of the control plane", found["rss"] / 2**20, "MiB"))
    print(line("all clients connected and configured in", found["connected"], "s"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=int(os.environ.get("CLIENTS", "300")))
    parser.add_argument("--changes", type=int, default=7)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.clients, arguments.changes))
