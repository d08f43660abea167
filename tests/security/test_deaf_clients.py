"""A client that asks and then reads nothing: its stream ends like any other, with its credential or the server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from kuma_core.testing.builders import dataplane, inbound, mesh, outbound
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.waiting import eventually

from .support import DELTA, SOTW, ask_delta, ask_sotw, stream
from .test_streams import PLUGINS, UNAUTHENTICATED, revoke

OUTBOUNDS = 2000
"""So many that one response is larger than what gRPC and the kernel hold for a client that reads nothing."""
ASKED = {"sotw": (SOTW, ask_sotw), "delta": (DELTA, ask_delta)}


@contextmanager
def control_plane() -> Iterator[RunningPlatform]:
    with running_platform(PLUGINS) as platform:
        platform.apply(mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}}))
        others = [outbound(f"127.1.{n >> 8}.{n & 255}:9000", f"service-{n}") for n in range(OUTBOUNDS)]
        platform.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web"), outbounds=others))
        yield platform


def subscription(cp: RunningPlatform) -> dict[str, dict[str, object]]:
    """What is known of the last stream of the proxy."""
    answer = cp.get("/meshes/default/dataplanes+insights/web-1")
    found: list[dict[str, dict[str, object]]] = answer.body["dataplaneInsight"]["subscriptions"]
    return found[-1]


def await_response(cp: RunningPlatform) -> None:
    eventually(lambda: subscription(cp)["status"]["total"], what="a response that waits for its reader")


@pytest.mark.parametrize("kind", ASKED)
def test_it_is_offline_as_soon_as_its_token_is_revoked(kind: str) -> None:
    method, ask = ASKED[kind]
    with control_plane() as cp, stream(cp, method, token := cp.token("web-1")) as deaf:
        ask(deaf)
        await_response(cp)
        revoke(cp, token)
        eventually(lambda: "disconnectTime" in subscription(cp))
        assert len(deaf.receive()) > 4 * 1024 * 1024, "what was on its way before"
        code, text = deaf.refusal()
    assert (code, "it was revoked" in text) == (UNAUTHENTICATED, True)


@pytest.mark.parametrize("kind", ASKED)
def test_it_leaves_no_traceback_when_the_control_plane_stops(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    method, ask = ASKED[kind]
    with ExitStack() as clients, control_plane() as cp:
        deaf = clients.enter_context(stream(cp, method, cp.token("web-1")))
        ask(deaf)
        await_response(cp)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []
