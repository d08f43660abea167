"""Plugins that open once and whose parts share what was opened; what they offer to each other; what they may not do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import pytest
import structlog

import kuma_store_memory
from kuma_core.errors import ConfigError, PluginError
from kuma_core.histogram import Distribution
from kuma_core.plugin.catalog import build_catalog
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.sdk import (
    COUNTER,
    HISTOGRAM,
    NUMBER,
    AsgiServer,
    ChangeListener,
    GrpcServer,
    Metric,
    OwnSecret,
    Port,
    Route,
    Setting,
    StaticCluster,
    StatsSink,
    StatsTag,
    WsgiServer,
)
from kuma_core.testing.builders import mesh
from kuma_core.testing.platform import RunningPlatform, running_platform
from kuma_core.testing.ports import free_port
from kuma_core.testing.waiting import eventually

from .support import bringing, catalog, module, opened, plugin

SETTINGS = [Setting("acme.port", "KUMA_ACME_PORT", 0, NUMBER, "For tests.", "Acme")]


@runtime_checkable
class Counts(Protocol):
    def count(self) -> int: ...


class Counter:
    def __init__(self) -> None:
        self.changes = 0

    def count(self) -> int:
        return self.changes


class Opened:
    """An opened plugin whose hooks are given by name."""

    def __init__(self, offer: object = None, **hooks: Callable[..., Any]) -> None:
        if offer is not None:
            self.offer = offer
        for name, function in hooks.items():
            setattr(self, name, hookimpl(function))


def opening(*asks: tuple[str, type[Any]], offer: object = None, **hooks: Callable[..., Any]) -> ModuleType:
    """A plugin that asks for what others offer, and then opens."""

    def kuma_open(context: Any) -> object:
        for name, contract in asks:
            context.ask(name, contract)
        return Opened(offer, **hooks)

    return module(kuma_open=kuma_open)


def started(*plugins: Any, settings: Mapping[str, str] | None = None) -> Any:
    return running_platform([kuma_store_memory, *plugins], settings)


def refused(*plugins: Any, settings: Mapping[str, str] | None = None) -> str:
    with pytest.raises((PluginError, ConfigError)) as caught, started(*plugins, settings=settings):
        raise AssertionError("it started")
    return str(caught.value)


def named(name: str, made: ModuleType) -> ModuleType:
    made.__name__ = name
    return made


# -- kuma_open


def test_hook_kuma_open() -> None:
    counter = Counter()

    def note(change: object) -> None:
        counter.changes += 1

    class Page:
        def on_get(self, req: Any, resp: Any) -> None:
            resp.media = {"changes": counter.count()}

    shared = opening(
        kuma_register_change_listeners=lambda: [ChangeListener(note, ("Mesh",))],
        kuma_register_routes=lambda: [Route("/acme", Page())],
    )
    with started(named("acme", shared)) as cp:
        before = cp.get("/acme").body["changes"]
        cp.apply(mesh("shop"))
        eventually(lambda: cp.get("/acme").body["changes"] > before)


def test_what_is_offered_is_opened_first_and_is_one_object() -> None:
    counter, seen = Counter(), []

    def kuma_open(context: Any) -> object:
        seen.append(context.ask("zeta", Counts))
        return Opened()

    opened(acme=module(kuma_open=kuma_open), zeta=opening(offer=counter), mid=opening(("zeta", Counts)))
    assert seen == [counter]


def test_each_plugin_is_opened_once() -> None:
    opens: list[str] = []

    def kuma_open(context: Any) -> object:
        opens.append(context.plugin)
        return Opened(Counter())

    opened(zeta=module(kuma_open=kuma_open), a=opening(("zeta", Counts)), b=opening(("zeta", Counts)))
    assert len(opens) == 1


def test_a_plugin_that_is_not_there_is_named_with_the_one_that_asks() -> None:
    text = refused(named("acme", opening(("ledger", Counts))))
    assert 'plugin "acme" asks for what the plugin "ledger" offers, and that one is not loaded' in text
    assert "--plugins no:acme" in text


def test_an_offer_of_another_form_is_named_with_both() -> None:
    for offer in (None, object()):
        text = refused(named("acme", opening(("ledger", Counts))), named("ledger", opening(offer=offer)))
        assert text == 'plugin "acme" asks for Counts, and what "ledger" offers is none'


def test_plugins_that_wait_for_each_other_are_refused() -> None:
    text = refused(named("a", opening(("b", Counts))), named("b", opening(("a", Counts))))
    assert text == 'plugins wait for each other to be opened: "a" asks "b" asks "a"'


def test_what_fails_to_open_is_named() -> None:
    def explode(context: Any) -> object:
        raise LookupError("no such shelf")

    text = refused(named("acme", module(kuma_open=explode)))
    assert 'plugin "acme": kuma_open failed: LookupError: no such shelf' in text


@pytest.mark.parametrize("hook", ["kuma_register_stores", "kuma_register_config", "kuma_open"])
def test_what_is_asked_before_anything_opens_belongs_into_the_module(hook: str) -> None:
    class Late:
        pass

    setattr(Late, hook, hookimpl(lambda self: []))
    text = refused(named("acme", module(kuma_open=lambda context: Late())))
    assert f'plugin "acme": {hook} belongs into the module, not into what kuma_open returns' in text


def test_a_method_without_the_mark_is_refused() -> None:
    class Forgetful:
        def kuma_register_routes(self) -> list[Route]:
            return []

    text = refused(named("acme", module(kuma_open=lambda context: Forgetful())))
    assert text == 'plugin "acme": kuma_register_routes lacks the @hookimpl decorator'


def test_messages_show_the_plugins_name_for_what_it_opened() -> None:
    text = refused(named("acme", opening(kuma_register_routes=lambda: [Route("/config", object())])))
    assert 'plugins "acme" and "builtin.mesh" both bring the route "config"' in text
    text = refused(named("acme", opening(kuma_register_routes=lambda: ["no"])))
    assert text == "plugin \"acme\": kuma_register_routes returned 'no', which is no Route"


def test_what_an_opened_plugin_implements_is_asked_before_writes() -> None:
    from kuma_core.sdk import Violation

    def admit(resource: Any) -> list[Violation]:
        return [Violation("name", "is taken")] if resource and resource.name == "shop" else []

    with started(named("acme", opening(kuma_admit=admit))) as cp:
        assert cp.put("/meshes/shop", mesh("shop")).body["causes"][0]["message"] == "is taken"


# -- kuma_prepare


def test_hook_kuma_prepare() -> None:
    """Before anything is served, and not at all where a port is taken."""
    prepared: list[str] = []
    plugin = opening(kuma_prepare=lambda context: prepared.append(context.plugin))
    with started(named("acme", plugin)):
        assert prepared == ["acme"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        text = refused(named("acme", plugin), settings={"KUMA_API_SERVER_PORT": port})
    assert "apiServer.port, KUMA_API_SERVER_PORT" in text
    assert prepared == ["acme"]


# -- kuma_register_secrets


def test_hook_kuma_register_secrets() -> None:
    kept = OwnSecret("acme-seal(-.+)?")
    assert kept in catalog(acme=bringing("secrets", kept)).own_secrets
    with started(named("acme", bringing("secrets", kept))) as cp:
        for name in ("acme-seal", "acme-seal-2", "acme-other"):
            cp.platform.core.secrets.create("default", name, b"x")
        cp.delete("/meshes/default")
        names = cp.platform.core.secrets.names("default")
    assert {name for name in names if name.startswith("acme")} == {"acme-seal", "acme-seal-2"}


# -- kuma_register_change_listeners


def test_hook_kuma_register_change_listeners() -> None:
    def explode(change: object) -> None:
        raise ValueError("oops")

    heard: list[Any] = []
    bad = named("bad", bringing("change_listeners", ChangeListener(explode)))
    good = named("good", bringing("change_listeners", ChangeListener(heard.append, ("Mesh",))))
    with structlog.testing.capture_logs() as logs, started(bad, good) as cp:
        cp.apply(mesh("shop"))
        eventually(lambda: "shop" in [change.key.name for change in heard if change.key])
        failed = cp.platform.catalog.boundary.quarantine.failures
        eventually(lambda: failed["bad", "a change listener"])
    told = [entry for entry in logs if entry["event"] == "a change listener failed"]
    assert told[0]["plugin"] == "bad"
    assert "ValueError: oops" in told[0]["problem"]


# -- kuma_register_metrics


def test_hook_kuma_register_metrics() -> None:
    def explode() -> Iterator[Any]:
        raise ValueError("oops")

    brought = [
        Metric("acme_sold_total", "Sold.", lambda: [(("red",), 3), (("blue",), 4)], COUNTER, ("colour",)),
        Metric("acme_broken", "Broken.", explode),
    ]
    with started(named("acme", bringing("metrics", *brought))) as cp:
        text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    assert 'acme_sold_total{colour="red"} 3.0' in text
    assert "# HELP acme_broken" not in text
    assert 'kuma_plugin_failures_total{call="the metric acme_broken",plugin="acme"} 1.0' in text
    assert "kuma_xds_streams" in text


def test_a_histogram_that_is_none_costs_its_own_numbers_alone() -> None:
    endless = Distribution(range(10**9), range(10**9), 0)
    brought = [
        Metric("acme_good", "Good.", lambda: [((), Distribution((1,), (2, 1), 5))], HISTOGRAM),
        Metric("acme_number", "A number.", lambda: [((), 3)], HISTOGRAM),
        Metric("acme_falling", "Falling.", lambda: [((), Distribution((2, 1), (0, 0, 0), 0))], HISTOGRAM),
        Metric("acme_endless", "Endless.", lambda: [((), endless)], HISTOGRAM),
    ]
    with started(named("acme", bringing("metrics", *brought))) as cp:
        text = cp.request("GET", "/metrics", port=cp.diagnostics).body
    assert 'acme_good_bucket{le="1.0"} 2.0' in text
    assert 'acme_good_bucket{le="+Inf"} 3.0' in text
    for name in ("acme_number", "acme_falling", "acme_endless"):
        assert f"# HELP {name}" not in text


def test_two_metrics_of_one_name_are_refused() -> None:
    one = Metric("acme_sold", "Sold.", list)
    with pytest.raises(PluginError, match='"a" and "b" both bring the metric "acme_sold"'):
        opened(a=bringing("metrics", one), b=bringing("metrics", one))


# -- kuma_register_servers


def page(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]


async def streaming(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for part in (b"a", b"b"):
        await send({"type": "http.response.body", "body": part, "more_body": part == b"a"})


def serving(*servers: Any) -> ModuleType:
    made = module(kuma_register_config=lambda: SETTINGS, kuma_register_servers=lambda context: servers)
    return named("acme", made)


@pytest.mark.parametrize(
    ("server", "body"),
    [
        (WsgiServer("s", Port("acme.port"), page), "here"),
        (AsgiServer("s", Port("acme.port"), streaming), "ab"),
    ],
)
def test_hook_kuma_register_servers(server: Any, body: str) -> None:
    port = free_port()
    with started(serving(server), settings={"KUMA_ACME_PORT": str(port)}) as cp:
        assert cp.request("GET", "/", port=port).body == body
    with socket.create_server(("127.0.0.1", port)):
        pass  # the port is free again


def test_a_server_that_speaks_grpc() -> None:
    import grpc

    def echo(request: bytes, context: Any) -> bytes:
        return request

    async def answer(request: bytes, context: Any) -> bytes:
        return echo(request, context)

    method = grpc.unary_unary_rpc_method_handler(answer)
    handler = grpc.method_handlers_generic_handler("acme.Echo", {"Say": method})
    stopped: list[str] = []
    server = GrpcServer(
        "echo", Port("acme.port", "127.0.0.1"), lambda: [handler], stopping=lambda: stopped.append("echo")
    )
    port = free_port()
    with (
        started(serving(server), settings={"KUMA_ACME_PORT": str(port)}),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        assert channel.unary_unary("/acme.Echo/Say")(b"hello", timeout=10) == b"hello"
    assert stopped == ["echo"]


def test_a_port_that_is_taken_is_named_by_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = WsgiServer("s", Port("acme.port", "127.0.0.1"), page)
        text = refused(serving(server), settings={"KUMA_ACME_PORT": str(port)})
    assert text.startswith(f"cannot listen on port {port} (acme.port, KUMA_ACME_PORT)")


def test_a_server_without_a_setting_is_refused() -> None:
    text = refused(serving(WsgiServer("s", Port("acme.prot"), page)))
    assert 'plugin "acme": the server "s" listens on the port of the setting "acme.prot"' in text


def test_two_servers_of_one_port_are_refused() -> None:
    text = refused(
        serving(WsgiServer("a", Port("acme.port"), page), WsgiServer("b", Port("acme.port"), page))
    )
    assert 'plugin "acme" brings the server on the port of "acme.port" twice' in text


# -- kuma_register_bootstrap


def bootstrap(cp: RunningPlatform) -> str:
    from kuma_core.testing.builders import dataplane, inbound

    cp.apply(dataplane("web-1", inbound("127.0.0.1:8080:80", "web")))
    return str(cp.request("POST", "/bootstrap", {"mesh": "default", "name": "web-1"}, cp.bootstrap).body)


def test_hook_kuma_register_bootstrap() -> None:
    import yaml

    sink = {"@type": "type.googleapis.com/envoy.config.metrics.v3.StatsdSink", "tcp_cluster_name": "acme"}
    brought = [
        StatsSink("envoy.stat_sinks.statsd", sink),
        StatsTag("acme.cell", regex="^cell\\.((.+?)\\.)"),
        StaticCluster("acme", {"type": "STATIC", "connectTimeout": "1s"}),
    ]
    with started(named("acme", bringing("bootstrap", *brought))) as cp:
        found = yaml.safe_load(bootstrap(cp))
    assert found["statsSinks"] == [{"name": "envoy.stat_sinks.statsd", "typedConfig": sink}]
    assert found["statsConfig"] == {"statsTags": [{"tagName": "acme.cell", "regex": "^cell\\.((.+?)\\.)"}]}
    assert found["staticResources"]["clusters"] == [
        {"name": "acme", "type": "STATIC", "connectTimeout": "1s"}
    ]


def test_two_parts_of_the_bootstrap_clash_by_their_names() -> None:
    tag = StatsTag("acme.cell", fixed_value="1")
    with pytest.raises(PluginError, match='"a" and "b" both bring the part of the bootstrap "StatsTag acme'):
        opened(a=bringing("bootstrap", tag), b=bringing("bootstrap", tag))
    text = refused(
        named("acme", bringing("bootstrap", StaticCluster("ads_cluster", {}))),
        settings={"KUMA_XDS_SERVER_TLS_ENABLED": "false"},
    )
    assert 'plugins "acme" and "builtin.proxies" both bring the part of the bootstrap' in text
    assert "--plugins no:acme" in text


# -- the kernel's own features


def test_a_plugin_may_not_take_the_name_of_a_feature() -> None:
    with pytest.raises(PluginError, match=r'the name "builtin\.tokens" is taken'):
        build_catalog({}, [plugin("builtin.tokens", module())])
