"""The floor of the benchmarks: a bare grpc.aio server over TLS that sends given bytes.

Run as a process: ``python -m tests.bench.floor PORT CHAIN KEY``. Every open stream of ``ADS`` and of ``SDS`` gets
what ``/floor/Broadcast`` takes; that call answers with the number of streams when all writes are about to begin.
``/floor/Answer`` takes the bytes with which the first request of every later stream is answered at once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from kuma_core.xds.server.ads import SERVER_OPTIONS

ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
SDS = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"


class Floor:
    """Keeps a queue for every open stream."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[bytes]] = set()
        self._answer = b""

    async def stream(self, requests: AsyncIterator[bytes], context: Any) -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._queues.add(queue)
        reader = asyncio.create_task(self._drain(requests, queue))
        try:
            while True:
                await context.write(await queue.get())
        finally:
            reader.cancel()
            self._queues.discard(queue)

    async def _drain(self, requests: AsyncIterator[bytes], queue: asyncio.Queue[bytes]) -> None:
        answered = not self._answer
        async for _ in requests:
            if not answered:
                queue.put_nowait(self._answer)
                answered = True

    async def broadcast(self, data: bytes, context: Any) -> bytes:
        for queue in self._queues:
            queue.put_nowait(data)
        return str(len(self._queues)).encode()

    async def answer(self, data: bytes, context: Any) -> bytes:
        self._answer = data
        return b""


async def main(port: int, chain: Path, key: Path) -> None:
    floor = Floor()
    server = grpc.aio.server(options=SERVER_OPTIONS)
    stream = grpc.stream_stream_rpc_method_handler(floor.stream)
    for method in (ADS, SDS):
        service, name = method.strip("/").split("/")
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: stream})])
    own = {
        "Broadcast": grpc.unary_unary_rpc_method_handler(floor.broadcast),
        "Answer": grpc.unary_unary_rpc_method_handler(floor.answer),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("floor", own)])
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), chain.read_bytes())])
    server.add_secure_port(f"127.0.0.1:{port}", credentials)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
