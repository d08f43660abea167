"""The way in: what a client may say and have before it is known who it is, and after."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, DiscoveryRequest
from envoy_data_plane.google.protobuf import Struct, Value

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import CLUSTER, ENDPOINTS
from kuma_core.xds.proxy import TOKEN_PATH
from kuma_core.xds.server import ads, bounds, sds, wire

from .support import DELTA, NODE, SDS, SOTW, RawStream, ask_delta, ask_identity, ask_mesh_ca, ask_sotw, stream

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
ASK = {SDS: ask_identity, SOTW: ask_sotw, DELTA: ask_delta}
everywhere = pytest.mark.parametrize("method", ASK)


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_ca_builtin]) as platform:
        platform.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        yield platform


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def padded(method: str, size: int) -> bytes:
    """A request that is good but for its size: the node has a field that nobody reads."""
    node = Node(id=NODE, cluster="x" * size)
    if method == DELTA:
        return bytes(DeltaDiscoveryRequest(node=node, type_url=CLUSTER))
    return bytes(DiscoveryRequest(node=node, type_url=CLUSTER * (method == SOTW), resource_names=["mesh_ca"]))


# -- before a byte is read


@pytest.mark.parametrize("method", [SOTW, DELTA])
@pytest.mark.parametrize("token", ["", "garbage"])
def test_ads_ends_without_having_read_anything(cp: RunningPlatform, method: str, token: str) -> None:
    with stream(cp, method, token) as opened:
        assert opened.refusal()[0] is UNAUTHENTICATED


@everywhere
def test_who_says_nothing_has_some_seconds(
    cp: RunningPlatform, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "INTRODUCTION_SECONDS", 0.2)
    with stream(cp, method, cp.token("web-1")) as opened:
        code, text = opened.refusal()
    assert (code, text) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "no request said within 0.2 seconds whose stream this is",
    )
    with stream(cp, method, cp.token("web-1")) as opened:
        ASK[method](opened)
        opened.receive()
        time.sleep(0.5)  # longer than a client may take that is not known yet
        assert opened.is_open()


@everywhere
def test_nothing_is_made_for_who_says_nothing(
    cp: RunningPlatform, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    for module in (ads, sds):
        session: Any = module.Session
        monkeypatch.setattr(
            module, "Session", lambda *given, made_by=session: made.append(method) or made_by(*given)
        )
    guard = cp.platform.core.proxies._guard
    eventually(lambda: len(guard) == 0)
    with stream(cp, method, cp.token("web-1")) as opened:
        eventually(lambda: len(guard) == 1, what="a credential that was looked at")
        assert made == []
        ASK[method](opened)
        opened.receive()
        assert made == [method]


def test_a_connection_has_some_streams_and_leaves_others_alone(cp: RunningPlatform) -> None:
    most, more = ads.MOST_STREAMS, 30
    guard = cp.platform.core.proxies._guard
    eventually(lambda: len(guard) == 0)

    async def silent() -> None:
        trusted = grpc.ssl_channel_credentials(cp.trusted)
        metadata = (("authorization", cp.token("web-1")),)
        async with grpc.aio.secure_channel(f"127.0.0.1:{cp.xds_port}", trusted) as channel:
            calls = [channel.stream_stream(DELTA)(metadata=metadata) for _ in range(most + more)]
            await asyncio.to_thread(eventually, lambda: len(guard) == most, 20, "so many streams")
            await asyncio.to_thread(ask_and_receive)
            assert len(guard) == most
            for call in calls:
                call.cancel()

    def ask_and_receive() -> None:
        with stream(cp, DELTA, cp.token("web-1")) as other:
            ask_delta(other)
            other.receive()
        eventually(lambda: len(guard) <= most)

    asyncio.run(silent())


@everywhere
def test_nothing_packed_is_unpacked(cp: RunningPlatform, method: str) -> None:
    """Neither by the library nor by us: four kilobytes may be four megabytes."""
    trusted, port = grpc.ssl_channel_credentials(cp.trusted), cp.sds_port if method == SDS else cp.xds_port
    with grpc.secure_channel(f"127.0.0.1:{port}", trusted) as channel:
        for message, compression in (
            (padded(method, 10_000), grpc.Compression.Gzip),
            (gzip.compress(padded(method, 10_000)), grpc.Compression.NoCompression),
        ):
            call: Any = channel.stream_stream(method)(
                iter([message]), metadata=[("authorization", cp.token("web-1"))], compression=compression
            )
            with pytest.raises(grpc.RpcError):
                next(call)
            assert call.code() is grpc.StatusCode.UNIMPLEMENTED
            assert "unpacks nothing" in call.details()


# -- before it is known who it is


@everywhere
def test_what_a_credential_is_good_for_is_read_up_to_a_bound(cp: RunningPlatform, method: str) -> None:
    with stream(cp, method, cp.token("web-1")) as opened:
        opened.send(padded(method, bounds.MOST_UNPROVED - 1000))
        opened.receive()
    with stream(cp, method, cp.token("web-1")) as opened:
        opened.send(padded(method, bounds.MOST_UNPROVED))
        assert opened.refusal()[0] is EXHAUSTED


def test_a_stranger_may_say_less(cp: RunningPlatform) -> None:
    with stream(cp, SDS) as opened:
        opened.send(padded(SDS, bounds.MOST_OF_A_STRANGER - 1000))
        opened.receive()
        opened.send(padded(SDS, bounds.MOST_OF_A_STRANGER))
        assert opened.refusal()[0] is EXHAUSTED
    with stream(cp, SDS) as opened:
        opened.send(padded(SDS, bounds.MOST_OF_A_STRANGER))
        code, text = opened.refusal()
        assert (code, f"may send {bounds.MOST_OF_A_STRANGER} bytes" in text) == (EXHAUSTED, True)


def test_a_stranger_may_ask_some_times(cp: RunningPlatform) -> None:
    with stream(cp, SDS) as opened:
        for _ in range(sds.MOST_QUESTIONS):
            ask_mesh_ca(opened)
            opened.receive()
        ask_mesh_ca(opened)
        assert opened.refusal() == (
            EXHAUSTED,
            f"a stream without a credential may ask {sds.MOST_QUESTIONS} times",
        )


def test_strangers_of_one_address_are_few_and_leave_proxies_alone(
    cp: RunningPlatform, stack: ExitStack
) -> None:
    few = bounds.STRANGERS // 10
    opened = [stack.enter_context(stream(cp, SDS)) for _ in range(few)]
    for one in opened:
        ask_mesh_ca(one)
        one.receive()
    with stream(cp, SDS) as another:
        ask_mesh_ca(another)
        code, text = another.refusal()
        assert (code, f"{few} streams from 127.0.0.1" in text) == (EXHAUSTED, True)
    with stream(cp, SDS, cp.token("web-1")) as proxy:
        ask_identity(proxy)
        proxy.receive()
    opened[0].close()
    eventually(lambda: a_stranger_is_served(cp))


def a_stranger_is_served(cp: RunningPlatform) -> bool:
    with stream(cp, SDS) as opened:
        ask_mesh_ca(opened)
        return bool(opened.receive())


def test_a_stranger_holds_up_no_rotation_and_says_nothing_of_a_proxy(cp: RunningPlatform) -> None:
    proxies = cp.platform.core.proxies
    eventually(lambda: len(proxies.secrets_hub) == 0)
    before = dict(proxies.secrets_hub.counts)
    with stream(cp, SDS) as opened:
        ask_mesh_ca(opened)
        response, _ = opened.secret()
        opened.ask("mesh_ca", nonce=response.nonce)
        assert proxies.behind("default") == []
        ask_mesh_ca(opened)
        opened.secret()
    told = {name: count for name, count in proxies.secrets_hub.counts.items() if before.get(name) != count}
    assert {outcome for _, outcome in told} == {"sent"}


# -- once it is known


@everywhere
def test_the_oldest_stream_of_a_dataplane_makes_room(
    cp: RunningPlatform, method: str, stack: ExitStack
) -> None:
    token = cp.token("web-1")

    def one_more() -> RawStream:
        opened = stack.enter_context(stream(cp, method, token))
        ASK[method](opened)
        opened.receive()
        return opened

    opened = [one_more() for _ in range(bounds.STREAMS + 2)]
    for oldest in opened[:2]:
        code, text = oldest.refusal()
        assert (code, f"{bounds.STREAMS} newer streams of this dataplane" in text) == (EXHAUSTED, True)
    cp.apply(dataplane("web-2", inbound("127.0.0.1:8081:80", "web")))
    with stream(cp, method, cp.token("web-2")) as other:
        if method == SDS:
            other.ask("identity_cert", node="default.web-2")
        else:
            (ask_sotw if method == SOTW else ask_delta)(other, "default.web-2")
        other.receive()


def test_a_dataplane_has_few_descriptions_at_once(cp: RunningPlatform, stack: ExitStack) -> None:
    token = cp.token("web-1")
    eventually(lambda: cp.platform.core.proxies.streams.connected() == 0)

    def described(number: int) -> RawStream:
        opened = stack.enter_context(stream(cp, DELTA, token))
        metadata = Struct(fields={TOKEN_PATH: Value(string_value=f"/token-{number}")})
        opened.send(bytes(DeltaDiscoveryRequest(node=Node(id=NODE, metadata=metadata), type_url=CLUSTER)))
        opened.receive()
        return opened

    opened = [described(number) for number in range(bounds.DESCRIPTIONS + 1)]
    code, text = opened[0].refusal()
    assert (code, f"{bounds.DESCRIPTIONS} newer descriptions" in text) == (EXHAUSTED, True)
    assert cp.platform.core.proxies.streams.connected() == bounds.DESCRIPTIONS


def test_the_names_of_a_stream_are_bounded_over_all_its_requests(cp: RunningPlatform) -> None:
    with stream(cp, DELTA, cp.token("web-1")) as opened:
        ask_delta(opened)
        opened.receive()
        for part in range(3):
            names = [f"{part}-{number}" for number in range(wire.MOST_NAMES // 2)]
            opened.send(bytes(DeltaDiscoveryRequest(type_url=ENDPOINTS, resource_names_subscribe=names)))
        code, text = opened.ended()
    assert (code, f"may name {wire.MOST_NAMES} resources" in text) == (EXHAUSTED, True)
