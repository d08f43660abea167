"""The floor of the push benchmark: a bare grpc.aio server that broadcasts given bytes and waits for one answer each.

Run as a process: ``python -m tests.bench.floor PORT``. ``/floor/Broadcast`` takes bytes, answers at once when all
writes are about to begin, and every stream of the ADS method gets them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


class Floor:
    """Keeps a queue for every open stream."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[bytes]] = set()

    async def stream(self, requests: AsyncIterator[bytes], context: Any) -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._queues.add(queue)
        reader = asyncio.create_task(self._drain(requests))
        try:
            while True:
                await context.write(await queue.get())
        finally:
            reader.cancel()
            self._queues.discard(queue)

    async def _drain(self, requests: AsyncIterator[bytes]) -> None:
        async for _ in requests:
            pass

    async def broadcast(self, data: bytes, context: Any) -> bytes:
        for queue in self._queues:
            queue.put_nowait(data)
        return str(len(self._queues)).encode()


async def main(port: int) -> None:
    floor = Floor()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    ads, method = METHOD.strip("/").split("/")
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                ads, {method: grpc.stream_stream_rpc_method_handler(floor.stream)}
            ),
            grpc.method_handlers_generic_handler(
                "floor", {"Broadcast": grpc.unary_unary_rpc_method_handler(floor.broadcast)}
            ),
        ]
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
