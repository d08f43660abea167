"""Streams end when their credential does: expired, revoked, or signed by a key that was retired."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from envoy_data_plane.envoy.service.discovery.v3 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
)

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.testing.builders import dataplane, inbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually
from kuma_core.xds.contract import CLUSTER, LISTENER
from kuma_core.xds.server import guard

from .support import (
    DELTA,
    SDS,
    SOTW,
    ask_delta,
    ask_identity,
    ask_mesh_ca,
    ask_sotw,
    stream,
)

PLUGINS = [kuma_store_memory, kuma_ca_builtin]
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
WITHIN = 1.0
"""Seconds in which a stream has to end at most."""


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform(PLUGINS) as platform:
        platform.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
        yield platform


GUARDED = {"identity_cert": (SDS, ask_identity), "sotw": (SOTW, ask_sotw), "delta": (DELTA, ask_delta)}


def admin(cp: RunningPlatform, method: str, path: str, body: object = None) -> dict[str, object]:
    answer = cp.request(method, path, body, cp.admin)
    assert answer.status == 200, answer
    found: dict[str, object] = answer.body
    return found


def revoke(cp: RunningPlatform, token: str) -> None:
    admin(cp, "POST", "/tokens/revocations", {"token": token})


def retire(cp: RunningPlatform, token: str) -> None:
    del token
    keys = cp.request("GET", "/tokens/signing-keys", None, cp.admin).body["items"]
    admin(cp, "POST", "/tokens/signing-keys")
    admin(cp, "DELETE", f"/tokens/signing-keys/{keys[0]['id']}")


ENDS = {
    "revoked": (revoke, "it was revoked; generate a new one"),
    "retired": (retire, "the key that signed it is not known here; generate a new one"),
}


def open_streams(cp: RunningPlatform) -> int:
    return len(cp.platform.core.proxies._guard)


@pytest.mark.parametrize("kind", GUARDED)
@pytest.mark.parametrize("how", ENDS)
def test_a_stream_ends_within_a_second(cp: RunningPlatform, how: str, kind: str) -> None:
    method, ask = GUARDED[kind]
    end, words = ENDS[how]
    token = cp.token("web-1")
    with stream(cp, method, token) as opened:
        ask(opened)
        opened.receive()
        end(cp, token)
        acknowledged = time.monotonic()
        code, text = opened.refusal()
        assert time.monotonic() - acknowledged < WITHIN
    assert (code, words in text) == (UNAUTHENTICATED, True)
    assert token.split(".")[1] not in text
    eventually(lambda: open_streams(cp) == 0)


@pytest.mark.parametrize("kind", GUARDED)
def test_a_stream_ends_when_its_token_does(cp: RunningPlatform, kind: str) -> None:
    method, ask = GUARDED[kind]
    body = {"name": "web-1", "mesh": "default", "validFor": "2s"}
    token = str(cp.request("POST", "/tokens", body, cp.admin).body)
    ends = int(time.time()) + 2
    with stream(cp, method, token) as opened:
        ask(opened)
        opened.receive()
        assert opened.refusal() == (UNAUTHENTICATED, guard.EXPIRED)
        assert -1 <= time.time() - ends <= WITHIN


def test_whom_to_trust_everybody_may_go_on_asking(cp: RunningPlatform) -> None:
    token = cp.token("web-1")
    with stream(cp, SDS, token) as opened:
        ask_mesh_ca(opened)
        first, _ = opened.secret()
        assert open_streams(cp) == 0
        revoke(cp, token)
        opened.ask("mesh_ca")
        second, _ = opened.secret()
    assert (first.nonce, second.nonce) == ("1", "2")


def test_streams_of_other_tokens_go_on(cp: RunningPlatform) -> None:
    leaked, good = cp.token("web-1"), cp.token("web-1")
    with stream(cp, DELTA, leaked) as one, stream(cp, DELTA, good) as other:
        for opened in (one, other):
            ask_delta(opened)
            nonce = DeltaDiscoveryResponse.parse(opened.receive()).nonce
            opened.send(bytes(DeltaDiscoveryRequest(type_url=CLUSTER, response_nonce=nonce)))
        revoke(cp, leaked)
        one.refusal()
        revoke(cp, cp.token("web-2"))  # a hint more
        other.send(bytes(DeltaDiscoveryRequest(type_url=LISTENER)))
        assert DeltaDiscoveryResponse.parse(other.receive()).type_url == LISTENER
    with stream(cp, DELTA, good) as again:
        ask_delta(again)
        assert again.receive()


def test_at_rest_nobody_is_asked_about(cp: RunningPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred streams and a hint are one look, and no read of the store for each."""
    reads: list[str] = []
    store = cp.platform.core.store

    def counted(verb: str) -> Callable[..., object]:
        original = getattr(store, verb)

        def call(*arguments: object) -> object:
            reads.append(verb)
            return original(*arguments)

        return call

    names = [f"web-{number // 10}" for number in range(100)]
    for number, name in enumerate(sorted(set(names))):
        cp.apply(dataplane(name, inbound(f"127.0.1.{number}:8080:80", "web")))
    tokens = [cp.token(name) for name in names]
    streams = [stream(cp, SOTW, token) for token in tokens]
    opened = [entered.__enter__() for entered in streams]
    try:
        for one, name in zip(opened, names, strict=True):
            ask_sotw(one, f"default.{name}")
            one.receive()
        for verb in ("list", "get"):
            monkeypatch.setattr(store, verb, counted(verb))
        revoke(cp, tokens[0])
        opened[0].refusal()
        assert len(reads) < 20
        assert open_streams(cp) == 99
    finally:
        for entered in streams:
            entered.__exit__(None, None, None)
    eventually(lambda: open_streams(cp) == 0)
