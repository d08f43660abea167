"""Attacks on the ports of proxies, as a program of its own: they go on until it is ended.

    python -m tests.security.attacker <attack> <xds port> <sds port> <file of the root> [<token>]

Each is a function of ``ATTACKS``. What a control plane answers is of no interest here but for the status of a stream
that has ended, of which there is a line on stdout when it is another one than before.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, DiscoveryRequest
from envoy_data_plane.google.protobuf import Struct, Value

from kuma_core.xds.contract import CLUSTER, ENDPOINTS
from kuma_core.xds.encoding import tagged
from kuma_core.xds.proxy import TOKEN_PATH

from .support import DELTA, SDS, SOTW

ATTACKER = "victim"
"""The Dataplane of the mesh default whose token is given."""
EMPTY_NAMES = b"\x1a\x00" * (2 * 1024 * 1024 - 100)
"""Almost 4 MiB, and 4 kB when they are packed: two million names of a request of either variant."""


@dataclass(frozen=True, slots=True)
class Target:
    xds: int
    sds: int
    root: bytes
    token: str

    def channel(self, port: int) -> grpc.aio.Channel:
        """A connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        trusted = grpc.ssl_channel_credentials(self.root)
        return grpc.aio.secure_channel(f"127.0.0.1:{port}", trusted, options)


async def one_stream(
    channel: grpc.aio.Channel,
    method: str,
    messages: Iterable[bytes],
    token: str = "",
    packed: bool = False,
    hold: bool = True,
) -> None:
    """Send messages and, if it is to be held, read until the stream ends."""
    metadata = (("authorization", token),) if token else ()
    compression = grpc.Compression.Gzip if packed else None
    call = channel.stream_stream(method)(metadata=metadata, compression=compression)
    try:
        for message in messages:
            await call.write(message)
        while hold and await call.read() is not grpc.aio.EOF:
            pass
        await asyncio.sleep(0 if hold else 0.02)
    except grpc.aio.AioRpcError as error:
        tell(f"{error.code().name}: {error.details()[:100]}")
    except (asyncio.InvalidStateError, grpc.aio.UsageError):
        pass  # the stream ended while it was being written to
    finally:
        call.cancel()


_told: set[str] = set()


def tell(line: str) -> None:
    """Print what was not printed before."""
    if line not in _told and len(_told) < 20:
        _told.add(line)
        print(line, flush=True)


async def packed(target: Target, port: int, method: str) -> None:
    """One connection with 15 messages at a time."""
    async with target.channel(port) as channel:
        while True:
            streams = [one_stream(channel, method, [EMPTY_NAMES], packed=True) for _ in range(15)]
            await asyncio.wait([asyncio.ensure_future(one) for one in streams], timeout=5)


async def packed_ads(target: Target) -> None:
    await packed(target, target.xds, SOTW)


async def packed_sds(target: Target) -> None:
    await packed(target, target.sds, SDS)


def names_of_nobody() -> Iterable[bytes]:
    """Requests with a node id that cannot be read, and a megabyte of names that differ."""
    for number in itertools.count():
        names = [f"{number}-{index}" + "x" * 90 for index in range(10_000)]
        request = DeltaDiscoveryRequest(
            node=Node(id="nobody"), type_url=ENDPOINTS, resource_names_subscribe=names
        )
        yield bytes(request)


async def unreadable_node(target: Target) -> None:
    """One stream that sends on."""
    async with target.channel(target.xds) as channel:
        while True:
            await one_stream(channel, DELTA, names_of_nobody(), target.token)
            await asyncio.sleep(0.01)


async def silent(target: Target) -> None:
    """4 500 streams that say nothing, on 15 connections: without a credential, and with one."""
    kinds = ((target.xds, DELTA, ""), (target.sds, SDS, ""), (target.xds, DELTA, target.token))
    async with AsyncExitStack() as stack:
        streams = []
        for port, method, token in kinds * 5:
            channel = await stack.enter_async_context(target.channel(port))
            streams += [forever(one_stream, channel, method, [], token) for _ in range(300)]
        await asyncio.gather(*streams)


async def odd_node_ids(target: Target) -> None:
    """As many as possible."""
    async with target.channel(target.xds) as channel:
        numbers = itertools.count()

        async def one() -> None:
            request = DeltaDiscoveryRequest(node=Node(id=f"odd{next(numbers)}"), type_url=CLUSTER)
            await one_stream(channel, DELTA, [bytes(request)], target.token, hold=False)

        await asyncio.gather(*(forever(one, pause=0) for _ in range(50)))


async def many_descriptions(target: Target) -> None:
    """400 streams of one token at a time, each with other metadata."""
    async with AsyncExitStack() as stack:
        numbers = itertools.count()
        channels = [await stack.enter_async_context(target.channel(target.xds)) for _ in range(8)]

        async def one(channel: grpc.aio.Channel) -> None:
            value = Value(string_value=f"/token-{next(numbers)}")
            node = Node(id=f"default.{ATTACKER}", metadata=Struct(fields={TOKEN_PATH: value}))
            request = DeltaDiscoveryRequest(node=node, type_url=CLUSTER)
            await one_stream(channel, DELTA, [bytes(request)], target.token)

        await asyncio.gather(*(forever(one, channel, pause=0.5) for channel in channels * 50))


async def large_messages(target: Target) -> None:
    """Messages of 4 MiB that are not packed, on many streams at once, without a credential."""
    message = EMPTY_NAMES + tagged(4, CLUSTER.encode())

    async with target.channel(target.xds) as ads, target.channel(target.sds) as sds:
        pairs = [(ads, DELTA), (sds, SDS)] * 20
        await asyncio.gather(*(forever(one_stream, *pair, [message, message], pause=0.1) for pair in pairs))


async def questions(target: Target) -> None:
    """Whom to trust, again and again, without a credential."""
    request = bytes(DiscoveryRequest(node=Node(id=f"default.{ATTACKER}"), resource_names=["mesh_ca"]))
    async with target.channel(target.sds) as channel:
        streams = [forever(one_stream, channel, SDS, [request] * 50, pause=0.1) for _ in range(50)]
        await asyncio.gather(*streams)


async def forever(attack: Callable[..., Awaitable[None]], *arguments: object, pause: float = 0.2) -> None:
    while True:
        await attack(*arguments)
        await asyncio.sleep(pause)


ATTACKS: dict[str, Callable[[Target], Awaitable[None]]] = {
    attack.__name__: attack
    for attack in (
        packed_ads,
        packed_sds,
        unreadable_node,
        silent,
        odd_node_ids,
        many_descriptions,
        large_messages,
        questions,
    )
}


if __name__ == "__main__":
    os.nice(5)  # an attacker has a machine of its own
    name, xds, sds, root, *token = sys.argv[1:]
    target = Target(int(xds), int(sds), Path(root).read_bytes(), token[0] if token else "")
    print("it begins", flush=True)
    asyncio.run(ATTACKS[name](target))
