"""One Envoy on a stream of its own, to which snapshots are offered from another thread, one after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc

from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import LISTENER
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.server.ads import SERVER_OPTIONS, AdsService
from kuma_core.xds.server.hub import Hub
from kuma_core.xds.server.stream import Acknowledgement
from kuma_core.xds.snapshot import EMPTY, Snapshot

from .test_random_meshes import Audience, Recorder, settled, start_envoy

PROXY = Proxy("default", "proxy")
SECONDS = 60
T = TypeVar("T")


class _Answers(Recorder):
    """Also knows which types Envoy has answered for."""

    def __init__(self, refused: list[str], types: set[str]) -> None:
        super().__init__(refused)
        self._types = types

    def answered(self, type_url: str, answer: Acknowledgement) -> None:
        super().answered(type_url, answer)
        self._types.add(type_url)


class OneEnvoy:
    """What Envoy refuses is kept: whoever was refused once should go on with another Envoy."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hub: Hub[Proxy], refused: list[str]) -> None:
        self._loop, self._hub, self._refused = loop, hub, refused

    def offer(self, snapshot: Snapshot) -> list[str]:
        """Give Envoy a snapshot and wait until it has answered for all of it; what it refused, in its words."""
        return _within(self._loop, self._offer(snapshot))

    async def _offer(self, snapshot: Snapshot) -> list[str]:
        self._hub.publish({PROXY: snapshot}, {})
        (session,) = self._hub.sessions()
        await settled(session, "a snapshot", self._refused)
        return list(self._refused)


@contextmanager
def one_envoy(folder: Path, variant: str) -> Iterator[OneEnvoy]:
    """Run an Envoy that speaks a variant of the protocol; both it and its server end with the block."""
    audience, refused, types = Audience(), list[str](), set[str]()
    hub: Hub[Proxy] = Hub(audience)
    with ExitStack() as stack:
        loop = stack.enter_context(_loop())
        server, port = _within(loop, _serve(hub, refused, types))
        stack.callback(lambda: _within(loop, server.stop(0)))
        start_envoy(folder, stack, variant, port)
        _within(loop, audience.arrived.wait())
        envoy = OneEnvoy(loop, hub, refused)
        envoy.offer(EMPTY)
        eventually(lambda: LISTENER in types, SECONDS, "an Envoy that has asked for listeners")
        yield envoy


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="one-envoy")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _within(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Have the loop's thread do something, and wait for it."""
    return asyncio.run_coroutine_threadsafe(work, loop).result(SECONDS)


async def _serve(hub: Hub[Proxy], refused: list[str], types: set[str]) -> tuple[grpc.aio.Server, int]:
    server, port = grpc.aio.server(options=SERVER_OPTIONS), free_port()
    service = AdsService(hub, lambda node: PROXY, lambda key, address: _Answers(refused, types))
    server.add_generic_rpc_handlers([service.handler()])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, port
