"""The web interface hands its reads on within the process: nobody gets this machine's rights by it, in any mode."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

import kuma_gui
import kuma_store_memory
from kuma_core.auth.contract import ADMINS, READERS
from kuma_core.errors import KumaError
from kuma_core.plugin.contract import AsgiServer
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import Context, Route
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import ELSEWHERE, HERE, mode

READ, DUMP, EVENTS = "/api/meshes", "/api/meshes/default/dataplanes/none/xds", "/api/events"


@pytest.fixture(scope="module")
def default() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_gui]) as running:
        yield running


@pytest.fixture(scope="module")
def closed() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, kuma_gui], mode("token")) as running:
        yield running


def through_the_gui(cp: RunningPlatform, address: str, path: str, token: str = "", **headers: str) -> int:
    """The status that a browser at an address gets."""
    sent = {"host": "localhost:5683", **headers}
    if token:
        sent["authorization"] = f"Bearer {token}"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": (address, 40000),
        "server": ("127.0.0.1", 5683),
        "state": {},
    }
    return asyncio.run(_status(_app(cp), scope))


def _app(cp: RunningPlatform) -> Any:
    found = next(server for server, _ in cp.platform.listening.bound if server.name == "gui-server")
    assert isinstance(found, AsgiServer)
    return found.app


async def _status(app: Any, scope: dict[str, Any]) -> int:
    """The status of an answer that ends."""
    told: list[int] = []
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told.append(message["status"])

    await asyncio.wait_for(app(scope, receive, send), 30)
    return told[0]


def test_the_browser_counts_and_not_the_server_that_hands_on(default: RunningPlatform) -> None:
    assert through_the_gui(default, HERE, READ) == 200
    assert through_the_gui(default, HERE, DUMP) == 404
    assert through_the_gui(default, ELSEWHERE, READ) == 200
    assert through_the_gui(default, ELSEWHERE, DUMP) == 401
    assert through_the_gui(default, ELSEWHERE, "/api/audit") == 401
    assert through_the_gui(default, HERE, DUMP, **{"x-forwarded-for": ELSEWHERE}) == 401
    assert through_the_gui(default, ELSEWHERE, DUMP, default.user_token("ann", ADMINS)) == 404


@pytest.mark.parametrize("address", [HERE, ELSEWHERE])
def test_where_tokens_are_asked_for_there_is_nothing_without_one(
    closed: RunningPlatform, address: str
) -> None:
    for path in (READ, DUMP, EVENTS, "/api/config"):
        assert through_the_gui(closed, address, path) == 401
    assert through_the_gui(closed, address, "/api/kinds") == 200
    assert through_the_gui(closed, address, READ, "rubbish") == 401
    reader, other = closed.user_token("ann", READERS), closed.user_token("bob", "x")
    assert through_the_gui(closed, address, READ, reader) == 200
    assert through_the_gui(closed, address, DUMP, reader) == 403
    assert through_the_gui(closed, address, EVENTS, other) == 403


def test_it_does_so_over_the_wire(closed: RunningPlatform) -> None:
    port = closed.platform.config.number("guiServer.port")
    assert closed.request("GET", READ, port=port).status == 401
    token = closed.user_token("ann", READERS)
    assert closed.request("GET", READ, port=port, Authorization=f"Bearer {token}").status == 200
    assert closed.request("PUT", f"{READ}/x", {}, port=port, Authorization=f"Bearer {token}").status == 405
    assert "kuma-users" not in json.dumps(closed.request("GET", "/config", port=port).body)


def test_a_resource_that_counts_as_false_is_refused() -> None:
    """falcon asks no middleware about such a one, and so nobody whether they may."""

    class Shelf:
        def __len__(self) -> int:
            return 0

        def on_get(self, req: Any, resp: Any) -> None:
            raise AssertionError("somebody got in")

    class Plugin:
        @hookimpl
        def kuma_register_routes(self, context: Context) -> list[Route]:
            return [Route("/shelf", Shelf())]

    with (
        pytest.raises(KumaError, match=r'"/shelf" cannot be served.*__len__'),
        running_platform([kuma_store_memory, Plugin()]),
    ):
        raise AssertionError("it started")
