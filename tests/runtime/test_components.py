"""Components and servers that end by themselves: told, started again, and fatal only where they say so."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

import kuma_store_memory
from kuma_core.config import build_config
from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.plugin.contract import GrpcServer, Port
from kuma_core.runtime import components as subject
from kuma_core.runtime.components import Components
from kuma_core.runtime.http import HttpServer
from kuma_core.runtime.listening import Listening
from kuma_core.sdk import Context, hookimpl
from kuma_core.testing.platform import RunningPlatform, make_catalog, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(subject, "LONGEST_PAUSE_SECONDS", 0.04)


class Ending:
    """Ends by itself so many times, in the way that a test says, then runs until it is stopped."""

    name, leader_only = "ending", False

    def __init__(self, times: int, end: Callable[[], object], restartable: bool = True) -> None:
        self.runs, self._times, self._end, self.restartable = 0, times, end, restartable

    def run(self, stop: Stop) -> None:
        self.runs += 1
        if self.runs <= self._times:
            self._end()
            return
        stop.wait()


def fails() -> None:
    raise ValueError("no")


def exits() -> None:
    raise SystemExit(1)


ENDS = {
    "fails": "ValueError: no",
    "exits": "SystemExit: 1",
    "returns": "it returned although nobody had stopped it",
}


@pytest.mark.parametrize(("end", "told"), [(fails, "fails"), (exits, "exits"), (lambda: None, "returns")])
def test_one_that_ends_is_told_and_started_again_after_longer_and_longer_pauses(
    end: Callable[[], object], told: str
) -> None:
    failures: list[KumaError] = []
    ends: Counter[str] = Counter()
    part, running = Ending(4, end), Components(failures.append, ends)
    with capture_logs() as logs:
        running.start([part])
        eventually(lambda: part.runs == 5)
    assert running.stop() == []
    lines = [entry for entry in logs if entry["log_level"] == "error"]
    assert {(entry["component"], entry["problem"]) for entry in lines} == {("ending", ENDS[told])}
    assert [entry["seconds"] for entry in lines] == [0.01, 0.02, 0.04, 0.04]
    assert (failures, ends) == ([], {"ending": 4})


def test_one_that_cannot_be_started_again_is_handed_on() -> None:
    failures: list[KumaError] = []
    part, running = Ending(1, fails, restartable=False), Components(failures.append)
    running.start([part])
    eventually(lambda: failures)
    assert [str(error) for error in failures] == ['component "ending" ended: ValueError: no']
    assert (running.stop(), part.runs) == ([], 1)


def test_one_that_fails_when_it_is_stopped_ends_nothing() -> None:
    class Late(Ending):
        def run(self, stop: Stop) -> None:
            stop.wait()
            fails()

    failures: list[KumaError] = []
    running = Components(failures.append)
    running.start([Late(0, fails)])
    assert (running.stop(), failures) == ([], [])


class Plugin:
    """A component and a server that end by themselves."""

    def __init__(self) -> None:
        self.part = Ending(1, exits)

    @hookimpl
    def kuma_register_components(self, context: Context) -> list[Any]:
        return [self.part]


def ends(cp: RunningPlatform, name: str) -> float:
    text = str(cp.request("GET", "/metrics", port=cp.diagnostics).body)
    (line,) = (
        it for it in text.splitlines() if it.startswith(f'kuma_component_ends_total{{component="{name}"}}')
    )
    return float(line.rpartition(" ")[2])


def test_a_control_plane_survives_a_component_and_a_server_that_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the loop of a server raises is no more its end: clients wait in the queue of its socket."""
    plugin, broken, serve = Plugin(), threading.Event(), HttpServer.serve

    def serve_once(server: HttpServer) -> None:
        if server.name == "api-server" and not broken.is_set():
            broken.set()
            server._server.serve = bad_descriptor
        serve(server)

    def bad_descriptor() -> None:
        raise OSError("bad file descriptor")

    monkeypatch.setattr(HttpServer, "serve", serve_once)
    with running_platform([kuma_store_memory, plugin]) as cp:
        assert cp.get("/").body["tagline"] == "Kuma"
        eventually(lambda: plugin.part.runs == 2)
        assert (broken.is_set(), ends(cp, "api-server"), ends(cp, "ending")) == (True, 1, 1)


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_grpc_server_that_ends_by_itself_takes_the_control_plane_along(
    by_itself: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[grpc.aio.Server] = []
    make, failures, ends = grpc.aio.server, list[KumaError](), Counter[str]()
    monkeypatch.setattr(grpc.aio, "server", lambda **options: made.append(make(**options)) or made[0])
    environ = {"KUMA_API_SERVER_PORT": str(free_port())}
    config = build_config(make_catalog([]).settings, {}, "test", environ)
    server = GrpcServer("acme", Port("apiServer.port", "127.0.0.1"), lambda: [])

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            await Listening(stack, config, [server], failures.append, ends).serve()
            if by_itself:
                await made[0].stop(0)
                while not failures:
                    await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(serve(), 20))
    said = ['server "acme" ended although nobody had stopped it'] * by_itself
    assert ([str(error) for error in failures], ends["acme"]) == (said, int(by_itself))
