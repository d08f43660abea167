"""All proxies of a mesh may come at once: none is turned away."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, ExitStack

import grpc
import pytest
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, DiscoveryRequest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.ca.contract import IDENTITY_CERT, MESH_CA
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import CLUSTER

from .support import DELTA, SDS, stream

STREAMS = 2000
"""Twice as many as the library would let wait to be accepted by itself."""
EACH = 10
"""Streams of one dataplane, on a connection of its own."""


@pytest.mark.parametrize("what", [IDENTITY_CERT, MESH_CA, CLUSTER])
def test_1_000_streams_and_more_at_once_are_all_served(what: str) -> None:
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as cp:
        names = [f"web-{number}" for number in range(STREAMS // EACH)]
        for number, name in enumerate(names):
            cp.apply(dataplane(name, inbound(f"127.0.{number >> 8}.{number & 255}:8080:80", "web")))
        answers = asyncio.run(ask_all(cp, what, {name: cp.token(name) for name in names}))
    assert answers == Counter({grpc.StatusCode.OK: STREAMS})


async def ask_all(cp: RunningPlatform, what: str, tokens: dict[str, str]) -> Counter[grpc.StatusCode]:
    """Open every stream before any is answered; how each of them began."""
    port, method = (cp.xds_port, DELTA) if what == CLUSTER else (cp.sds_port, SDS)
    trusted = grpc.ssl_channel_credentials(cp.trusted)
    async with AsyncExitStack() as stack:
        asked = []
        for name, token in tokens.items():
            own = grpc.aio.secure_channel(
                f"127.0.0.1:{port}", trusted, [("grpc.use_local_subchannel_pool", 1)]
            )
            open_one = (await stack.enter_async_context(own)).stream_stream(method)
            asked += [ask(open_one, request(name, what), token) for _ in range(EACH)]
        return Counter(await asyncio.gather(*asked))


def request(name: str, what: str) -> bytes:
    node = Node(id=f"default.{name}")
    if what == CLUSTER:
        return bytes(DeltaDiscoveryRequest(node=node, type_url=CLUSTER))
    return bytes(DiscoveryRequest(node=node, resource_names=[what]))


async def ask(open_one: grpc.aio.StreamStreamMultiCallable, request: bytes, token: str) -> grpc.StatusCode:
    call = open_one(metadata=(("authorization", token),), timeout=60)
    try:
        await call.write(request)
        await call.read()
    except grpc.aio.AioRpcError as error:
        return error.code()
    call.cancel()
    return grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("what", "read"),
    [(IDENTITY_CERT, {"Secret": 2}), (MESH_CA, {"Secret": 1})],
)
def test_what_a_secret_costs_the_store(
    monkeypatch: pytest.MonkeyPatch, what: str, read: dict[str, int]
) -> None:
    """A thousand proxies at once ask a thousand times as much. The root is read to tell who signs, and to sign.

    Mesh and Dataplane are those that made the proxy's configuration.
    """
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as cp:
        cp.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        with stream(cp, SDS, cp.token("web-1")) as first:
            first.ask(what)  # what is kept for later is read by then
            first.secret()
        cp.catch_up()
        reads: Counter[str] = Counter()
        ask_store = cp.platform.core.store.get
        monkeypatch.setattr(
            cp.platform.core.store, "get", lambda key: reads.update([key.type]) or ask_store(key)
        )
        with stream(cp, SDS, cp.token("web-1")) as opened:
            opened.ask(what)
            opened.secret()
            asked = {kind: count for kind, count in reads.items() if kind in ("Mesh", "Dataplane", "Secret")}
            assert asked == read


def test_a_write_to_a_mesh_costs_no_read_for_each_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority is asked once for all of a mesh's streams; what it says is compared, and nothing goes out."""
    encrypted = {"enabled": True, "ca": {"builtin": {}}}
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as cp, ExitStack() as stack:
        cp.apply(mesh("default", mtls=encrypted))
        for number in range(20):
            name = f"web-{number}"
            cp.apply(dataplane(name, inbound(f"127.0.0.{number + 1}:8080:80", "web")))
            opened = stack.enter_context(stream(cp, SDS, cp.token(name)))
            opened.ask(IDENTITY_CERT, node=f"default.{name}")
            opened.secret()
        cp.catch_up()
        looked: Counter[str] = Counter()
        maker = cp.platform.core.proxies._maker
        fingerprint = maker.fingerprint
        monkeypatch.setattr(
            maker, "fingerprint", lambda key, name: looked.update([key.name]) or fingerprint(key, name)
        )
        reads: Counter[str] = Counter()
        ask_store = cp.platform.core.store.get
        monkeypatch.setattr(
            cp.platform.core.store, "get", lambda key: reads.update([key.type]) or ask_store(key)
        )
        cp.apply(
            mesh("default", mtls=encrypted, logging={"backends": [{"name": "a", "file": {"path": "/x"}}]})
        )
        eventually(lambda: len(looked) == 20, what="every stream that looked again")
        assert reads["Secret"] <= 3, reads
        assert reads["Mesh"] <= 4, reads
        assert reads["Dataplane"] == 0, reads
