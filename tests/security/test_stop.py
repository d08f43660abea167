"""A control plane that stops says so to its proxies, and leaves no traceback behind."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack

import grpc
import pytest

import kuma_ca_builtin
import kuma_store_memory
from kuma_core.runtime import listening
from kuma_core.testing.builders import dataplane, inbound, mesh
from kuma_core.testing.platform import running_platform
from kuma_core.testing.waiting import eventually

from .support import (
    DELTA,
    SDS,
    SOTW,
    RawStream,
    ask_delta,
    ask_identity,
    ask_mesh_ca,
    ask_sotw,
    stream,
)

PLUGINS = [kuma_store_memory, kuma_ca_builtin]
ASKED: list[tuple[str, Callable[[RawStream], None]]] = [
    (SOTW, ask_sotw),
    (DELTA, ask_delta),
    (SDS, ask_identity),
    (SDS, ask_mesh_ca),
]


def test_all_streams_end_with_a_word_when_the_control_plane_stops(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that nobody knows yet, too; nothing is cut off, so the grace that is given to streams is not used up."""
    monkeypatch.setattr(listening, "GRACE_SECONDS", 60.0)
    with ExitStack() as clients:
        with running_platform(PLUGINS) as cp:
            cp.apply(mesh("default", mtls={"enabled": True, "ca": {"builtin": {}}}))
            cp.apply(dataplane("web-1", inbound("127.0.0.1:1:2", "web")))
            streams = []
            for method, ask in ASKED:
                streams.append(clients.enter_context(stream(cp, method, cp.token("web-1"))))
                ask(streams[-1])
                assert streams[-1].receive()
            silent = ((DELTA, [cp.token("web-1")]), (SDS, []))  # on 5678 nobody stays without a credential
            streams += [clients.enter_context(stream(cp, method, *shown)) for method, shown in silent]
            arrived = cp.platform.core.proxies._guard._ends
            eventually(lambda: len(arrived) == len(streams), what="every stream at the control plane")
            began = time.monotonic()
        assert time.monotonic() - began < 30
        for opened in streams:
            assert opened.refusal() == (
                grpc.StatusCode.UNAVAILABLE,
                "the control plane is stopping; connect again",
            )
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []
