"""A server of a plugin that hands its requests on to the REST API: nobody gets this machine's rights by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import kuma_store_memory
from kuma_core.config import NUMBER, Setting
from kuma_core.errors import KumaError
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import Context, Port, Route, WsgiServer
from kuma_core.sdk.http import RestApi
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, running_platform

from .support import ELSEWHERE, HERE, Asker

PREFIX = "/api"


class WebInterface:
    """Serves the API below a path of its own, as the server of a web interface does."""

    @hookimpl
    def kuma_register_config(self) -> list[Setting]:
        return [Setting("web.port", "KUMA_WEB_PORT", 5999, NUMBER, "Of the test.", "Web")]

    @hookimpl
    def kuma_register_servers(self, context: Context) -> list[WsgiServer]:
        self.rest = context.ask("rest", RestApi)
        return [WsgiServer("web", Port("web.port", "127.0.0.1"), self.serve)]

    def serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"].removeprefix(PREFIX)
        return self.rest.serve({**environ, "PATH_INFO": path}, start_response)


@pytest.fixture(scope="module")
def cp() -> Iterator[RunningPlatform]:
    with running_platform([kuma_store_memory, WebInterface()]) as running:
        yield running


def test_the_address_of_the_browser_counts_and_not_that_of_the_server(cp: RunningPlatform) -> None:
    web = {"server": "web"}
    assert Asker(cp, ELSEWHERE)("GET", f"{PREFIX}/meshes", **web).status == 200
    refused = Asker(cp, ELSEWHERE)("PUT", f"{PREFIX}/meshes/shop", mesh("shop"), **web)
    assert (refused.status, ELSEWHERE in refused.body["details"]) == (401, True)
    assert Asker(cp, HERE)("PUT", f"{PREFIX}/meshes/shop", mesh("shop"), **web).status == 201
    token = cp.user_token("ann", "kuma:admin")
    assert Asker(cp, ELSEWHERE, token)("PUT", f"{PREFIX}/meshes/shop", mesh("shop"), **web).status == 200


def test_it_works_over_the_wire(cp: RunningPlatform) -> None:
    port = cp.platform.config.number("web.port")
    assert cp.request("GET", f"{PREFIX}/meshes", port=port).status == 200
    assert cp.request("PUT", f"{PREFIX}/meshes/a", mesh("a"), port).status == 201
    assert cp.request("PUT", f"{PREFIX}/meshes/a", mesh("a"), port, Forwarded="for=x").status == 401
    page = {"Origin": f"http://127.0.0.1:{port}"}
    assert cp.request("PUT", f"{PREFIX}/meshes/a", mesh("a"), port, **page).status == 200, "its own page"
    assert cp.request("PUT", f"{PREFIX}/meshes/a", mesh("a"), port, Origin="http://evil").status == 403


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
