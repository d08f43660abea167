"""A fake Envoy on a real gRPC stream: fast, many at once, for tests beside those with the real one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from kuma_core.testing.platform import RunningPlatform
from kuma_core.testing.xds_client import DeltaClient, SotwClient
from kuma_core.xds.server.ads import SERVICE

METHODS = {
    DeltaClient: f"/{SERVICE}/DeltaAggregatedResources",
    SotwClient: f"/{SERVICE}/StreamAggregatedResources",
}


class FakeEnvoy:
    """One client on one stream at a time. ``client`` knows what it was sent and what it runs with."""

    def __init__(self, channel: grpc.aio.Channel, client: DeltaClient | SotwClient, token: str = "") -> None:
        self.client = client
        self._metadata = (("authorization", token),) if token else ()
        self.code: grpc.StatusCode | None = None
        self._channel = channel

    async def run(self) -> None:
        """Open a stream and follow it until it ends or the task is cancelled."""
        call = self._channel.stream_stream(METHODS[type(self.client)])(metadata=self._metadata)
        try:
            for request in self.client.begin():
                await call.write(request)
            while (response := await call.read()) is not grpc.aio.EOF:
                for request in self.client.take(response):
                    await call.write(request)
            self.code = await call.code()
        except grpc.aio.AioRpcError as error:
            self.code = error.code()
        finally:
            call.cancel()


class Fleet:
    """Fake Envoys in an event loop of their own thread, at the ADS port of a control plane."""

    def __init__(self, cp: RunningPlatform) -> None:
        self._cp = cp
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-envoys", daemon=True)
        self._tasks: dict[int, tuple[asyncio.Task[None], grpc.aio.Channel]] = {}
        self._thread.start()

    def connect(self, client: DeltaClient | SotwClient, token: str | None = None) -> FakeEnvoy:
        """Have a client open a stream on a connection of its own, with its token unless another is given."""
        shown = self._cp.credential(client.node_id) if token is None else token
        envoy: FakeEnvoy = self._call(self._connect(client, shown))
        return envoy

    async def _connect(self, client: DeltaClient | SotwClient, token: str) -> FakeEnvoy:
        options = [("grpc.use_local_subchannel_pool", 1)]
        target, root = f"127.0.0.1:{self._cp.xds_port}", self._cp.trusted
        if root:
            channel = grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(root), options)
        else:
            channel = grpc.aio.insecure_channel(target, options)
        envoy = FakeEnvoy(channel, client, token)
        self._tasks[id(envoy)] = (asyncio.create_task(envoy.run()), channel)
        return envoy

    def disconnect(self, envoy: FakeEnvoy) -> None:
        """End a client's stream and connection."""
        self._call(self._disconnect(id(envoy)))

    async def _disconnect(self, key: int) -> None:
        task, channel = self._tasks.pop(key)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await channel.close()

    async def _disconnect_all(self) -> None:
        for key in list(self._tasks):
            await self._disconnect(key)

    def close(self) -> None:
        """End everything."""
        self._call(self._disconnect_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)


@contextmanager
def fleet(cp: RunningPlatform) -> Iterator[Fleet]:
    """Fake Envoys for the ADS server of a control plane; all of them are gone afterwards."""
    envoys = Fleet(cp)
    try:
        yield envoys
    finally:
        envoys.close()
