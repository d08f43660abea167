"""What the opened plugins bring: asked once, by the hooks of phase 2, checked and frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pluggy

from kuma_core.api.contract import Route
from kuma_core.auth.contract import AccessPolicy, Authenticator
from kuma_core.errors import PluginError
from kuma_core.plugin.collecting import (
    Contributed,
    call,
    collect_for,
    implementations,
    refuse_clashes,
)
from kuma_core.plugin.contract import (
    AsgiServer,
    BootstrapFragment,
    ChangeListener,
    Component,
    Context,
    GrpcServer,
    Metric,
    Server,
    StaticCluster,
    StatsSink,
    StatsTag,
    WsgiServer,
)
from kuma_core.plugin.opening import Opening
from kuma_core.plugin.registration import owner

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Features:
    """What all plugins bring once they are open. ``prepare`` has them make what has to be in the store."""

    routes: tuple[Route, ...]
    admin_routes: tuple[Route, ...]
    authenticators: tuple[Contributed[Authenticator], ...]
    access: tuple[Contributed[AccessPolicy], ...]
    change_listeners: tuple[Contributed[ChangeListener], ...]
    components: tuple[Component, ...]
    metrics: tuple[Contributed[Metric], ...]
    servers: tuple[Server, ...]
    bootstrap: tuple[BootstrapFragment, ...]
    prepare: Callable[[], None]


class Collector:
    """Opens the plugins of a manager, and then asks what they bring."""

    def __init__(
        self,
        manager: pluggy.PluginManager,
        kernel: Mapping[str, object],
        context_of: Callable[[str], Context],
    ) -> None:
        self._manager, self._context_of = manager, context_of
        self.opening = Opening(manager, kernel, context_of)

    def open(self) -> Features:
        """Open all, then collect; raises ``PluginError`` that names the plugin, or both of two that clash."""
        self.opening.all()
        return Features(
            routes=self._routes("kuma_register_routes", "route"),
            admin_routes=self._routes("kuma_register_admin_routes", "admin route"),
            authenticators=tuple(self._named("kuma_register_authenticators", Authenticator, "authenticator")),
            access=tuple(self._named("kuma_register_access", AccessPolicy, "access policy")),
            change_listeners=tuple(self._collect("kuma_register_change_listeners", ChangeListener)),
            components=self._components(),
            metrics=tuple(self._named("kuma_register_metrics", Metric, "metric")),
            servers=self._servers(),
            bootstrap=self._fragments(),
            prepare=self._prepare,
        )

    def _collect(self, hook: str, expected: Any) -> list[Contributed[Any]]:
        return collect_for(self._manager, hook, expected, self._arguments)

    def _arguments(self, plugin: str) -> Mapping[str, Any]:
        return {"context": self._context_of(plugin)}

    def _named(self, hook: str, expected: Any, what: str) -> list[Contributed[Any]]:
        found = self._collect(hook, expected)
        refuse_clashes(what, found, lambda value: [value.name])
        return found

    def _routes(self, hook: str, what: str) -> tuple[Route, ...]:
        routes = self._collect(hook, Route)
        refuse_clashes(what, routes, lambda route: [_shape(route.template)])
        return tuple(entry.value for entry in routes)

    def _components(self) -> tuple[Component, ...]:
        components = self._collect("kuma_register_components", None)
        for entry in components:
            _require_component(entry)
        refuse_clashes("component", components, lambda component: [component.name])
        return tuple(entry.value for entry in components)

    def _servers(self) -> tuple[Server, ...]:
        servers = self._named("kuma_register_servers", (WsgiServer, AsgiServer, GrpcServer), "server")
        refuse_clashes("server on the port of", servers, lambda server: [server.port.setting])
        for entry in servers:
            _require_setting(entry, self._context_of(entry.plugin))
        return tuple(entry.value for entry in servers)

    def _fragments(self) -> tuple[BootstrapFragment, ...]:
        fragments = self._collect("kuma_register_bootstrap", (StatsSink, StatsTag, StaticCluster))
        refuse_clashes(
            "part of the bootstrap", fragments, lambda part: [f"{type(part).__name__} {part.name}"]
        )
        return tuple(entry.value for entry in fragments)

    def _prepare(self) -> None:
        """Have every plugin make what has to be in the store."""
        for found in implementations(self._manager, "kuma_prepare"):
            call(found, "kuma_prepare", self._arguments(owner(found.plugin_name)), lambda nothing: None)


def _require_component(entry: Contributed[Any]) -> None:
    component = entry.value
    if not (
        isinstance(getattr(component, "name", None), str)
        and isinstance(getattr(component, "leader_only", None), bool)
        and callable(getattr(component, "run", None))
    ):
        raise PluginError(
            f'plugin "{entry.plugin}": kuma_register_components returned {component!r}, '
            "which lacks a name, leader_only or run(stop)",
            entry.plugin,
            "kuma_register_components",
        )


def _require_setting(entry: Contributed[Server], context: Context) -> None:
    setting = entry.value.port.setting
    if setting not in {known.path for known in context.config.settings}:
        raise PluginError(
            f'plugin "{entry.plugin}": the server "{entry.value.name}" listens on the port of the setting '
            f'"{setting}", which nobody registered; do so with kuma_register_config',
            entry.plugin,
            "kuma_register_servers",
        )


def _shape(template: str) -> str:
    """A path template without the names in its braces: two of one shape serve the same paths."""
    return "/".join("{}" if part.startswith("{") else part for part in template.strip("/").split("/"))
