"""How long one endpoint change takes to reach N proxies, beside a bare gRPC server that sends the same bytes.

    python -m tests.bench.push [--clients 300] [--changes 7]

Measured from the answer to the ``PUT`` until the last client wrote its ACK. Absolute times depend on the machine
and on who else uses it; the ratio to the floor, taken in the same run, is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import psutil

from kuma_core.testing.builders import dataplane, inbound, outbound
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_core.testing.xds_client import DeltaClient
from kuma_core.xds.contract import ENDPOINTS
from kuma_core.xds.encoding import tagged
from kuma_core.xds.server.wire import Fields

from .floor import METHOD

BIN = Path(sys.executable).parent
INSTANCES = 20
OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


class Client:
    """A proxy that is configured as an Envoy is, and from then on only acknowledges endpoints, cheaply.

    With ``cheap`` it does so from the first response on.
    """

    def __init__(self, name: str, cheap: bool = False) -> None:
        self._envoy = DeltaClient(f"default.{name}")
        self._cheap = cheap
        self.acknowledged = 0
        self.last_response = b""

    async def run(self, port: int) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
            call = channel.stream_stream(METHOD)()
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


def put(url: str, document: dict[str, Any]) -> None:
    path = f"{url}/meshes/default/dataplanes/{document['name']}"
    request = urllib.request.Request(path, json.dumps(document).encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=30):
        pass


def echo(number: int) -> dict[str, Any]:
    return dataplane(f"echo-{number}", inbound(f"127.0.0.1:{20000 + number}:9000", "echo"))


def start_control_plane(stack: ExitStack) -> tuple[psutil.Process, str, int]:
    names = (
        "API_SERVER_PORT",
        "BOOTSTRAP_SERVER_PORT",
        "XDS_SERVER_GRPC_PORT",
        "XDS_SERVER_DIAGNOSTICS_PORT",
        "ADMIN_SERVER_LOCAL_PORT",
        "SDS_SERVER_GRPC_PORT",
    )
    ports = {f"KUMA_{name}": str(free_port()) for name in names}
    environ = {
        **os.environ,
        **ports,
        "KUMA_API_SERVER_INTERFACE": "127.0.0.1",
        "KUMA_PLUGINS": "store_memory",
    }
    process = _process(stack, [str(BIN / "kuma-cp"), "--log-level", "off", "run"], environ)
    ready = f"http://127.0.0.1:{ports['KUMA_XDS_SERVER_DIAGNOSTICS_PORT']}/ready"
    eventually(lambda: urllib.request.urlopen(ready, timeout=5).status == 200, 30)
    url = f"http://127.0.0.1:{ports['KUMA_API_SERVER_PORT']}"
    return process, url, int(ports["KUMA_XDS_SERVER_GRPC_PORT"])


def _process(stack: ExitStack, command: list[str], environ: dict[str, str] | None = None) -> psutil.Process:
    process = stack.enter_context(psutil.Popen(command, env=environ, stdout=subprocess.DEVNULL))
    stack.callback(process.kill)
    return process


async def connect(
    count: int, port: int, ready: Callable[[Client], bool], cheap: bool = False
) -> tuple[list[Client], list[Any]]:
    clients = [Client(f"web-{number}", cheap) for number in range(count)]
    tasks = [asyncio.create_task(client.run(port)) for client in clients]
    deadline = time.monotonic() + 120
    while not all(ready(client) for client in clients):
        await asyncio.sleep(0.05)
        assert time.monotonic() < deadline, "not all clients were configured"
    return clients, tasks


async def measure_control_plane(count: int, changes: int) -> dict[str, Any]:
    with ExitStack() as stack:
        process, url, port = start_control_plane(stack)
        for number in range(INSTANCES):
            put(url, echo(number))
        for number in range(count):
            caller = dataplane(
                f"web-{number}",
                inbound(f"127.0.0.1:{8000}:{8001}", "web"),
                outbounds=[outbound(":7100", "echo")],
            )
            put(url, caller)
        began = time.perf_counter()
        clients, tasks = await connect(count, port, lambda client: client.acknowledged >= 3)
        connected = time.perf_counter() - began

        async def change(number: int) -> None:
            await asyncio.to_thread(put, url, echo(INSTANCES + number))

        cpu = sum(process.cpu_times()[:2])
        took = await rounds(clients, changes, change)
        cpu = sum(process.cpu_times()[:2]) - cpu
        memory = process.memory_info().rss
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    response = clients[0].last_response
    return {"took": took, "cpu": cpu / changes, "rss": memory, "connected": connected, "response": response}


async def measure_floor(count: int, changes: int, data: bytes) -> list[float]:
    with ExitStack() as stack:
        port = free_port()
        _process(stack, [sys.executable, "-m", "tests.bench.floor", str(port)])
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await asyncio.wait_for(channel.channel_ready(), 30)
            broadcast = channel.unary_unary("/floor/Broadcast")
            clients, tasks = await connect(count, port, lambda client: True, cheap=True)
            while int(await broadcast(b"")) < count:  # until every stream is open
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)

            async def change(_: int) -> None:
                await broadcast(data)

            took = await rounds(clients, changes, change)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return took


def row(name: str, values: list[float]) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{name:<42}{low * 1000:>9.1f}{middle * 1000:>9.1f}{high * 1000:>9.1f}  ms (min, median, max)"


async def main(count: int, changes: int) -> None:
    found = await measure_control_plane(count, changes)
    floor = await measure_floor(count, changes, found["response"])
    ratio = statistics.median(found["took"]) / statistics.median(floor)
    print(
        f"one endpoint change, {count} delta clients, {len(found['response'])} bytes each, {changes} changes"
    )
    print(row("accepted PUT to the last ACK", found["took"]))
    print(row("floor: the same bytes by bare grpc.aio", floor))
    print(f"{'ratio to the floor (medians)':<42}{ratio:>9.2f}")
    print(f"{'CPU of the control plane per change':<42}{found['cpu'] * 1000:>9.1f}  ms")
    print(f"{'resident memory of the control plane':<42}{found['rss'] / 2**20:>9.1f}  MiB")
    print(f"{'all clients connected and configured in':<42}{found['connected']:>9.2f}  s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=int(os.environ.get("CLIENTS", "300")))
    parser.add_argument("--changes", type=int, default=7)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.clients, arguments.changes))
