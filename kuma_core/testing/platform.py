"""A whole control plane in a thread of the test, with exactly the plugins that the test names."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from kuma_core import http_client
from kuma_core.builtin import FEATURES
from kuma_core.builtin.configuration.autoconfiguration import autoconfigured
from kuma_core.builtin.tokens.contract import tokens_enabled
from kuma_core.config import build_config
from kuma_core.http_client import HttpFailure, Rules, exchange
from kuma_core.plugin.catalog import Catalog, build_catalog
from kuma_core.plugin.loader import Plugin, State
from kuma_core.runtime.platform import Platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

PORTS = (
    "apiServer.port",
    "bootstrapServer.port",
    "xdsServer.grpcPort",
    "xdsServer.diagnosticsPort",
    "adminServer.local.port",
    "sdsServer.grpcPort",
    "eventsServer.port",
    "guiServer.port",
    "apiServer.https.port",
)
RULES = Rules(timeout=30, limit=256 * 1024 * 1024)
AT_ONCE = {"KUMA_XDS_SERVER_ENDPOINTS": "registered"}
"""Most tests make meshes of Dataplanes behind which nobody is, and look at what others get of them: there, as in the
reference, each is an endpoint at once. Tests of joining and leaving set the default, and so does every kuma-cp that
runs as a program."""
OLD_SECTION = "KUMA_DATAPLANE_TOKEN_SERVER_"


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """What a server said: ``body`` is decoded JSON where it is JSON, else text."""

    status: int
    headers: Mapping[str, str]
    body: Any


class RunningPlatform:
    """A control plane that runs, and a small client for its HTTP servers."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        numbers = [platform.config.number(path) for path in PORTS]
        self.api, self.bootstrap, self.xds_port, self.diagnostics, self.admin, *others = numbers
        self.sds_port, self.events, self.gui, self.https = others

    @property
    def admin_socket(self) -> str:
        """The path of the admin server's Unix socket, over which secrets leave."""
        return self.platform.config.text("adminServer.socket.path")

    @property
    def api_url(self) -> str:
        """Where the REST API is."""
        return f"http://127.0.0.1:{self.api}"

    def get(self, path: str, **headers: str) -> JsonAnswer:
        """GET a path of the REST API."""
        return self.request("GET", path, None, 0, **headers)

    def put(self, path: str, body: Any) -> JsonAnswer:
        """PUT JSON, or bytes as they are, to a path of the REST API."""
        return self.request("PUT", path, body)

    def delete(self, path: str) -> JsonAnswer:
        """DELETE a path of the REST API."""
        return self.request("DELETE", path)

    def request(
        self, method: str, path: str, body: Any = None, port: int | str = 0, **headers: str
    ) -> JsonAnswer:
        """Any request to the REST API, or to the HTTP server on another port, or on the Unix socket of a path.

        Raises ConnectionError where no whole answer comes.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        rules = replace(RULES, unix_socket=port) if isinstance(port, str) else RULES
        url = f"http://localhost{path}" if rules.unix_socket else f"http://127.0.0.1:{port or self.api}{path}"
        sent = {"Content-Type": "application/json", **headers}
        try:
            return _answer(exchange(method, url, sent, data, rules))
        except HttpFailure as error:
            raise ConnectionError(f"{method} {url}: {error}") from error

    def credential(self, node_id: str) -> str:
        """The token of a proxy by its node id; empty if none is asked for, or nobody can read the id."""
        mesh, _, name = node_id.partition(".")
        if not (mesh and name and tokens_enabled(self.platform.config)):
            return ""
        return self.token(name, mesh)

    def offer(self, plugin: str, contract: type[Any] = object) -> Any:
        """What a plugin of this control plane offers to others."""
        return self.platform.core.offer(plugin, contract)

    @property
    def trusted(self) -> bytes:
        """The certificate to trust the gRPC servers by, in PEM; empty where the ADS port speaks no TLS."""
        root: str = self.platform.core.proxies.bootstrap.root
        return root.encode()

    def token(self, name: str, mesh: str = "default") -> str:
        """A dataplane token, from the admin server; fails the test if none is issued."""
        answer = self.request("POST", "/tokens", {"name": name, "mesh": mesh}, self.admin)
        assert answer.status == 200, answer
        return str(answer.body)

    def user_token(self, name: str, *groups: str, valid_for: str = "1h") -> str:
        """The token of a user, as an operator of the machine makes it; fails the test if none is issued."""
        request = {"name": name, "groups": list(groups), "validFor": valid_for}
        answer = self.request("POST", "/tokens/user", request, self.admin_socket)
        assert answer.status == 200, answer
        return str(answer.body)

    def catch_up(self) -> None:
        """Wait until the views show what was written so far: what proxies get is made from them."""
        self.platform.core.proxies.reconciler.ask(lambda views: None, 30)

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """PUT documents as ``kumactl apply`` does; fails the test if one is refused."""
        for document in documents:
            kind = self.platform.catalog.kinds[document["type"]]
            scope = f"/meshes/{document['mesh']}" if "mesh" in document else ""
            answer = self.put(f"{scope}/{kind.path}/{document['name']}", document)
            assert answer.status in (200, 201), answer


def _answer(found: http_client.Answer) -> JsonAnswer:
    is_json = "json" in (found.header("Content-Type") or "") and found.body
    value = json.loads(found.body) if is_json else found.body.decode()
    return JsonAnswer(found.status, dict(found.headers), value)


def make_catalog(plugins: Iterable[ModuleType | Any]) -> Catalog:
    """A catalog of the kernel and these modules; entry points are not looked at."""
    loaded = [
        Plugin(getattr(module, "__name__", repr(module)), "test", "0", State.LOADED, module=module)
        for module in plugins
    ]
    return build_catalog(FEATURES, loaded)


Parts = tuple[list[ModuleType | Any], dict[str, str]]
"""What a platform is made of: plugins, and environment variables."""

around: Callable[[Parts], AbstractContextManager[Parts]] = nullcontext
"""Called around every platform of a test run, which may have it made of other parts: on another store, say."""


@contextmanager
def running_platform(
    plugins: Iterable[ModuleType | Any], settings: Mapping[str, str] | None = None
) -> Iterator[RunningPlatform]:
    """Run a control plane with these plugins; ``settings`` are environment variables.

    Every port is free and the API listens on loopback, unless ``settings`` says otherwise.
    """
    with around((list(plugins), dict(settings or {}))) as parts, _running(*parts) as platform:
        yield platform


@contextmanager
def _running(plugins: list[ModuleType | Any], settings: dict[str, str]) -> Iterator[RunningPlatform]:
    catalog = make_catalog(plugins)
    environ = {item.env: str(free_port()) for item in catalog.settings if item.path in _ports(catalog)}
    if any(name.startswith(OLD_SECTION) for name in settings):  # which wins, with a port of its own
        environ[f"{OLD_SECTION}LOCAL_PORT"] = str(free_port())
    environ |= {"KUMA_API_SERVER_INTERFACE": "127.0.0.1", **AT_ONCE, **settings}
    config = autoconfigured(build_config(catalog.settings, {}, "test", environ))
    platform = Platform(config, catalog)
    thread = _Thread(platform)
    thread.start()
    try:
        eventually(lambda: thread.failure or _ready(platform), what="a ready control plane")
        if thread.failure:
            raise thread.failure
        yield RunningPlatform(platform)
    finally:
        platform.stop()
        thread.join(timeout=20)
        assert not thread.is_alive(), "the control plane did not stop"


def _ports(catalog: Catalog) -> set[str]:
    """The settings with the ports of the kernel's servers, and of those that plugins bring."""
    kernel = {item.path for item in make_catalog([]).settings}
    brought = {item.path for item in catalog.settings} - kernel
    return {*PORTS, *(path for path in brought if path.endswith(".port"))}


def _ready(platform: Platform) -> bool:
    port = platform.config.number("xdsServer.diagnosticsPort")
    try:
        return exchange("GET", f"http://127.0.0.1:{port}/ready", {}, None, Rules(5, 1024)).status == 200
    except HttpFailure:
        return False


class _Thread(threading.Thread):
    """Runs a platform's event loop and keeps the error with which it ended."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(name="platform", daemon=True)
        self._platform = platform
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._platform.run())
        except BaseException as error:  # noqa: BLE001 - handed to the test that waits for it
            self.failure = error
