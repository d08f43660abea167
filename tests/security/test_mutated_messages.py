"""Thousands of messages that are almost right, on every gRPC method: each is answered, or refused with its reason."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, DiscoveryRequest
from envoy_data_plane.google.protobuf import Struct, Value
from envoy_data_plane.google.rpc import Status

from kuma_core.xds.contract import CLUSTER, ENDPOINTS
from kuma_core.xds.proxy import TOKEN_PATH

from ..chaos.support import fetch
from .support import DELTA, NODE, SDS, SOTW
from .test_attacks import Victim

METHODS = {"sds": SDS, "sotw": SOTW, "delta": DELTA}
AT_ONCE = 25
PACKED = (grpc.Compression.NoCompression,) * 8 + (grpc.Compression.Gzip, grpc.Compression.Deflate)


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with ExitStack() as stack:
        yield Victim(stack, tmp_path_factory.mktemp("victim"))


def sound(method: str) -> bytes:
    """A request with a bit of everything."""
    metadata = Struct(fields={TOKEN_PATH: Value(string_value="/token"), "n": Value(number_value=1.5)})
    node = Node(id=NODE, cluster="web", metadata=metadata, user_agent_name="envoy")
    error = Status(code=13, message="no")
    if method == SDS:
        return bytes(DiscoveryRequest(node=node, resource_names=["identity_cert"], version_info="1"))
    if method == SOTW:
        return bytes(
            DiscoveryRequest(
                node=node, type_url=CLUSTER, resource_names=["a", "b"], response_nonce="1", error_detail=error
            )
        )
    return bytes(
        DeltaDiscoveryRequest(
            node=node,
            type_url=ENDPOINTS,
            resource_names_subscribe=["echo", "b"],
            resource_names_unsubscribe=["c"],
            initial_resource_versions={"echo": "1"},
            response_nonce="1",
            error_detail=error,
        )
    )


def mutated(data: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, dropped, doubled or added; now and then nothing is left, or there is much more."""
    found = bytearray(data)
    for _ in range(dice.choice((0, 1, 1, 2, 3, 8, 30))):
        at = dice.randrange(len(found) + 1)
        match dice.randrange(6):
            case 0:
                found[at : at + 1] = dice.randbytes(1)
            case 1:
                del found[at : at + dice.randint(1, 8)]
            case 2:
                found[at:at] = dice.randbytes(dice.randint(1, 8))
            case 3:
                found[at:at] = found[at : at + dice.randint(1, 40)]
            case 4:
                found[at : at + 1] = b"\xff"
            case _:
                found[at:at] = bytes((dice.choice((8, 10, 18, 26, 34, 42, 50, 58)), dice.randrange(256)))
    return bytes(found)


class Fuzzer:
    """What became of each message: the status and text of its stream, or ``OK``."""

    def __init__(self, victim: Victim, seed: int) -> None:
        self.dice = random.Random(seed)
        self.ends: Counter[tuple[str, str]] = Counter()
        self._victim = victim
        self._metadata = (("authorization", victim.token("web-1")),)

    def run(self, method: str, count: int) -> None:
        """Send so many messages, each on a stream of its own; every second one after a sound one.

        Not with ``grpc.aio``: its client has an ``INTERNAL`` of its own for a stream that ends while it writes.
        """
        port = self._victim.cp.ports["SDS_SERVER_GRPC_PORT" if method == SDS else "XDS_SERVER_GRPC_PORT"]
        trusted = grpc.ssl_channel_credentials(self._victim.root.read_bytes())
        cases = [
            ([sound(method)] * (number % 2) + [mutated(sound(method), self.dice)], self.dice.choice(PACKED))
            for number in range(count)
        ]
        with (
            grpc.secure_channel(f"127.0.0.1:{port}", trusted) as channel,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):
            open_one = channel.stream_stream(method)
            self.ends.update(pool.map(lambda case: self._send(open_one, *case), cases))

    def _send(
        self, open_one: Any, messages: Sequence[bytes], compression: grpc.Compression
    ) -> tuple[str, str]:
        """How the stream ends when nothing comes after these messages."""
        call = open_one(iter(messages), metadata=self._metadata, compression=compression, timeout=60)
        try:
            for _ in call:
                pass
        except grpc.RpcError:
            pass
        return call.code().name, call.details()


EXPECTED = {
    *("OK", "INVALID_ARGUMENT", "UNIMPLEMENTED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "NOT_FOUND"),
}
"""What a message can lead to. An ``INTERNAL`` of the library has the text of a bug."""


def check(victim: Victim, method: str, count: int, seed: int) -> None:
    fuzzer = Fuzzer(victim, seed)
    fuzzer.run(METHODS[method], count)
    codes = Counter(code for code, _ in fuzzer.ends.elements())
    print(method, seed, codes)
    assert sum(fuzzer.ends.values()) == count
    assert codes.keys() <= EXPECTED, fuzzer.ends
    assert [code for code, text in fuzzer.ends if code != "OK" and not text] == []
    assert 0 < codes["OK"] < count
    assert fetch(victim.cp.ports["XDS_SERVER_DIAGNOSTICS_PORT"], "/ready") == ""
    assert "Traceback" not in victim.cp.log.read_text()


@pytest.mark.parametrize("method", METHODS)
def test_500_mutated_messages_end_no_more_than_their_streams(victim: Victim, method: str) -> None:
    check(victim, method, 500, seed=1)


@pytest.mark.chaos
@pytest.mark.parametrize("method", METHODS)
def test_20_000_mutated_messages_end_no_more_than_their_streams(victim: Victim, method: str) -> None:
    check(victim, method, 20_000, seed=int.from_bytes(os.urandom(4)))
