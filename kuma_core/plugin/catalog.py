"""Asks every plugin once what it brings, checks the answers and freezes them.

This is the only room that calls hooks. Whatever a plugin does wrong is told with the plugin's name: pluggy
itself would let the error through without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from kuma_core.ca.contract import CaProviderFactory
from kuma_core.config import Setting
from kuma_core.errors import ConfigError, PluginError
from kuma_core.model import ResourceType
from kuma_core.plugin import hookspecs
from kuma_core.plugin.admission import Admission
from kuma_core.plugin.loader import Plugin, State
from kuma_core.plugin.registration import register, way_out
from kuma_core.resources.contract import StoreFactory

if TYPE_CHECKING:
    from kuma_core.api.contract import Route
    from kuma_core.auth.contract import Authenticator
    from kuma_core.ca.authorities import Authorities
    from kuma_core.policy.contract import Policy
    from kuma_core.runtime.contract import Component, Context
    from kuma_core.xds.contract import Generator

T = TypeVar("T")

BUILTIN = "builtin"
"""The name under which the kernel registers what it brings itself."""


@dataclass(frozen=True, slots=True)
class Contributed(Generic[T]):
    """A value and the name of the plugin that brought it."""

    plugin: str
    value: T


class Kinds:
    """Every registered kind of resource, by name; iterates in the order of names."""

    def __init__(self, contributed: Iterable[Contributed[ResourceType]]) -> None:
        entries = sorted(contributed, key=lambda entry: entry.value.name)
        _refuse_clashes("kind", entries, _words)
        self._by_name = {entry.value.name: entry.value for entry in entries}
        self._owners = {entry.value.name: entry.plugin for entry in entries}

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> ResourceType:
        return self._by_name[name]

    def owner(self, name: str) -> str:
        """The plugin that brought the kind of that name."""
        return self._owners[name]


@dataclass(frozen=True, slots=True)
class Catalog:
    """What all loaded plugins bring, frozen. Built once, at start, by ``build_catalog``."""

    plugins: tuple[Plugin, ...]
    settings: tuple[Setting, ...]
    kinds: Kinds
    stores: Mapping[str, StoreFactory]
    ca_providers: Mapping[str, Contributed[CaProviderFactory]]
    generators: tuple[Generator, ...]
    policies: tuple[Policy, ...]
    provides: Mapping[str, tuple[str, ...]]
    _manager: pluggy.PluginManager

    def routes(self, context: Context) -> tuple[Route, ...]:
        """Call ``kuma_register_routes``: the routes of all plugins. To be called once."""
        return self._routes("kuma_register_routes", "route", context)

    def admin_routes(self, context: Context) -> tuple[Route, ...]:
        """Call ``kuma_register_admin_routes``: the admin server's routes of all plugins. To be called once."""
        return self._routes("kuma_register_admin_routes", "admin route", context)

    def _routes(self, hook: str, what: str, context: Context) -> tuple[Route, ...]:
        from kuma_core.api.contract import Route

        routes = collect(self._manager, hook, Route, context=context)
        _refuse_clashes(what, routes, lambda route: [_shape(route.template)])
        return tuple(entry.value for entry in routes)

    def authenticators(self, context: Context) -> tuple[Contributed[Authenticator], ...]:
        """Call ``kuma_register_authenticators``: the ways to prove who one is. To be called once."""
        from kuma_core.auth.contract import Authenticator

        found = collect(self._manager, "kuma_register_authenticators", Authenticator, context=context)
        _refuse_clashes("authenticator", found, lambda authenticator: [authenticator.name])
        return tuple(found)

    def admission(self, authorities: Authorities) -> Admission:
        """Who is asked before every write by ``kuma_admit``; found once, as it is asked often."""
        return Admission(self._manager.hook.kuma_admit.get_hookimpls(), authorities)

    def components(self, context: Context) -> tuple[Component, ...]:
        """Call ``kuma_register_components``: the long-running parts of all plugins. To be called once."""
        components: list[Contributed[Any]] = collect(
            self._manager, "kuma_register_components", None, context=context
        )
        for entry in components:
            _require_component(entry)
        _refuse_clashes("component", components, lambda component: [component.name])
        return tuple(entry.value for entry in components)

    def store(self, name: str) -> StoreFactory:
        """The store that ``store.type`` names; raises ``ConfigError`` if no loaded plugin brings it."""
        if name in self.stores:
            return self.stores[name]
        if not self.stores:
            raise ConfigError(
                "no store plugin is loaded, and the control plane needs one to keep its resources in. "
                "Install one, for instance: pip install kuma-store-memory (or name it in --plugins)"
            )
        raise ConfigError(
            f'store.type is "{name}", and no loaded plugin brings that store. Install kuma-store-{name}, '
            f"or choose one that is loaded: {', '.join(sorted(self.stores))}"
        )


def build_catalog(builtin: object, plugins: Iterable[Plugin]) -> Catalog:
    """Register ``builtin`` and every loaded plugin, call the hooks of phase 1 and freeze what they return.

    Raises ``PluginError``, naming the plugin, for anything that cannot be taken, and naming both for two
    values that exclude each other.
    """
    plugins = tuple(plugins)
    manager = pluggy.PluginManager(hookspecs.NAMESPACE)
    manager.add_hookspecs(hookspecs)
    register(manager, builtin, BUILTIN, "the kernel itself")
    for plugin in sorted(plugins, key=lambda item: item.name):
        if plugin.state is State.LOADED:
            register(manager, plugin.module, plugin.name, plugin.label)
    return _freeze(manager, plugins)


def _freeze(manager: pluggy.PluginManager, plugins: tuple[Plugin, ...]) -> Catalog:
    from kuma_core.policy.contract import Policy
    from kuma_core.xds.contract import Generator

    settings = collect(manager, "kuma_register_config", Setting)
    kinds = collect(manager, "kuma_register_resource_types", ResourceType)
    stores = collect(manager, "kuma_register_stores", StoreFactory)
    ca_providers = collect(manager, "kuma_register_ca_providers", CaProviderFactory)
    generators = collect(manager, "kuma_register_generators", Generator)
    policies = collect(manager, "kuma_register_policies", Policy)
    _refuse_clashes("configuration key", settings, lambda item: [item.path])
    _refuse_keys_inside_keys(settings)
    _refuse_clashes("environment variable", settings, lambda item: [item.env, *item.aliases])
    _refuse_clashes("store", stores, lambda item: [item.name])
    _refuse_clashes("certificate authority", ca_providers, lambda item: [item.name])
    _refuse_clashes("generator", generators, lambda item: [item.name])
    _refuse_clashes("order of a generator", generators, lambda item: [item.order])
    _refuse_clashes("policy of the kind", policies, lambda item: [item.kind])
    _refuse_clashes("order of a policy", policies, lambda item: [item.order])
    for kind in kinds:
        _require_keepable(kind)
    for entry in policies:
        _require_kind(entry, {kind.value.name for kind in kinds})
    return Catalog(
        plugins=plugins,
        settings=tuple(entry.value for entry in settings),
        kinds=Kinds(kinds),
        stores=MappingProxyType({entry.value.name: entry.value for entry in stores}),
        ca_providers=MappingProxyType({entry.value.name: entry for entry in ca_providers}),
        generators=tuple(sorted((entry.value for entry in generators), key=lambda item: item.order)),
        policies=tuple(sorted((entry.value for entry in policies), key=lambda item: item.order)),
        provides=_provides(
            manager, kinds=kinds, stores=stores, ca_providers=ca_providers, generators=generators
        ),
        _manager=manager,
    )


_UNNAMED = {
    "config": "kuma_register_config",
    "routes": "kuma_register_routes",
    "admin routes": "kuma_register_admin_routes",
    "authenticators": "kuma_register_authenticators",
    "components": "kuma_register_components",
    "admission": "kuma_admit",
}
"""The hooks whose values have no names that are worth to be shown, and what is shown instead."""


def _provides(
    manager: pluggy.PluginManager, **named: list[Contributed[Any]]
) -> Mapping[str, tuple[str, ...]]:
    """What to show for each plugin: its named values, and the other hooks that it implements."""
    provides: dict[str, list[str]] = {name: [] for name, _ in manager.list_name_plugin()}
    for group, entries in named.items():
        for entry in entries:
            what = group.removesuffix("s").replace("_", " ")
            provides[entry.plugin].append(f"{what} {entry.value.name}")
    for what, hook in _UNNAMED.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            provides[implementation.plugin_name].append(what)
    return MappingProxyType({name: tuple(sorted(values)) for name, values in provides.items()})


def collect(
    manager: pluggy.PluginManager, hook: str, expected: type[T] | None, **arguments: Any
) -> list[Contributed[T]]:
    """Call one hook of every plugin and check that each returned an iterable of ``expected`` values."""
    found: list[Contributed[T]] = []
    for implementation in sorted(getattr(manager.hook, hook).get_hookimpls(), key=lambda i: i.plugin_name):
        name = implementation.plugin_name
        for value in _call(implementation, hook, arguments):
            if expected is not None and not isinstance(value, expected):
                raise PluginError(
                    f'plugin "{name}": {hook} returned {value!r}, which is no {expected.__name__}', name, hook
                )
            found.append(Contributed(name, value))
    return found


def _call(implementation: Any, hook: str, arguments: Mapping[str, Any]) -> list[Any]:
    name = implementation.plugin_name
    try:
        result = implementation.function(*(arguments[argument] for argument in implementation.argnames))
        return list(result)
    except Exception as error:
        raise PluginError(
            f'plugin "{name}": {hook} failed: {type(error).__name__}: {error}. Repair it, or {way_out(name)}',
            name,
            hook,
        ) from error


def _require_keepable(entry: Contributed[ResourceType]) -> None:
    from kuma_core.specs.keepable import unkeepable

    if problems := unkeepable(entry.value):
        raise PluginError(
            f'plugin "{entry.plugin}": resources of the kind "{entry.value.name}" could not be kept as written: '
            f"{'; '.join(problems)}. Repair it, or {way_out(entry.plugin)}",
            entry.plugin,
            "kuma_register_resource_types",
        )


def _require_kind(entry: Contributed[Policy], known: set[str]) -> None:
    if entry.value.kind not in known:
        raise PluginError(
            f'plugin "{entry.plugin}": the policy for "{entry.value.kind}" has no such kind of resources; '
            "register it with kuma_register_resource_types",
            entry.plugin,
            "kuma_register_policies",
        )


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


def _refuse_clashes(
    what: str, entries: Iterable[Contributed[T]], words: Callable[[T], Iterable[Any]]
) -> None:
    """Raise if two of the values claim one word; the message names both plugins."""
    owners: dict[Any, str] = {}
    for entry in entries:
        for word in {word for word in words(entry.value) if word != ""}:
            if word in owners:
                raise _clash(what, word, owners[word], entry.plugin)
            owners[word] = entry.plugin


def _refuse_keys_inside_keys(settings: list[Contributed[Setting]]) -> None:
    """A key cannot be a value and a section at once."""
    owners = {entry.value.path: entry.plugin for entry in settings}
    for entry in settings:
        parts = entry.value.path.split(".")
        for section in (".".join(parts[:length]) for length in range(1, len(parts))):
            if section in owners:
                raise PluginError(
                    f'the configuration key "{entry.value.path}" of plugin "{entry.plugin}" lies inside '
                    f'the key "{section}" of plugin "{owners[section]}"; {way_out(entry.plugin)}',
                    entry.plugin,
                )


def _clash(what: str, word: Any, first: str, second: str) -> PluginError:
    if first == second:
        return PluginError(f'plugin "{first}" brings the {what} "{word}" twice; {way_out(first)}', first)
    foreign = first if second == BUILTIN else second
    message = f'plugins "{first}" and "{second}" both bring the {what} "{word}"'
    return PluginError(f"{message}; {way_out(foreign)}", foreign)


def _words(kind: ResourceType) -> list[str]:
    """All that names a kind on the command line, folded as kumactl folds it."""
    return [_fold(word) for word in (kind.name, kind.path, kind.singular, *kind.aliases, *kind.path_aliases)]


def _fold(word: str) -> str:
    return word.replace("-", "").lower()


def _shape(template: str) -> str:
    """A path template without the names in its braces: two of one shape serve the same paths."""
    return "/".join("{}" if part.startswith("{") else part for part in template.strip("/").split("/"))
