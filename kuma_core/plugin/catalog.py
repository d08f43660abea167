"""Asks every plugin once what it brings, checks the answers and freezes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

import pluggy

from kuma_core import packages
from kuma_core.ca.contract import Authorities, CaProviderFactory
from kuma_core.config import Setting
from kuma_core.errors import ConfigError, PluginError
from kuma_core.kinds import Kinds
from kuma_core.model import ResourceType
from kuma_core.plugin import hookspecs
from kuma_core.plugin.admission import Admission
from kuma_core.plugin.asking import Asking
from kuma_core.plugin.boundary import Boundary
from kuma_core.plugin.collecting import Contributed, collect, implementations, refuse_clashes
from kuma_core.plugin.command import Command, OutputFormat
from kuma_core.plugin.guarding import guarded_generator, guarded_policy
from kuma_core.plugin.loader import KERNEL, Plugin, State
from kuma_core.plugin.registration import (
    BUILTIN,
    foreign_one,
    is_builtin,
    leave_out,
    owner,
    register,
    way_out,
)
from kuma_core.policy.contract import Policy
from kuma_core.resources.contract import OwnSecret, StoreFactory
from kuma_core.xds.contract import Generator

T = TypeVar("T", Policy, Generator)


@dataclass(frozen=True, slots=True)
class Catalog:
    """What all loaded plugins registered, frozen. Built once, at start, by ``build_catalog``."""

    plugins: tuple[Plugin, ...]
    settings: tuple[Setting, ...]
    kinds: Kinds
    own_secrets: tuple[OwnSecret, ...]
    stores: Mapping[str, StoreFactory]
    ca_providers: Mapping[str, Contributed[CaProviderFactory]]
    generators: tuple[Generator, ...]
    policies: tuple[Policy, ...]
    provides: Mapping[str, tuple[str, ...]]
    manager: pluggy.PluginManager
    boundary: Boundary
    """The one that every call into these plugins passes."""
    asking: Asking
    """Passes it for questions to which somebody waits for the answer."""

    def distribution(self, plugin: str) -> str:
        """The distribution that a loaded plugin came with; the kernel's own features have its."""
        return next((item.distribution for item in self.plugins if item.name == plugin), KERNEL)

    def admission(self, authorities: Authorities) -> Admission:
        """Asks all who implement ``kuma_admit`` before every write."""
        return Admission(self.manager, authorities, self.asking, self.kinds, self.policies)

    def store(self, name: str) -> StoreFactory:
        """The store that ``store.type`` names; raises ``ConfigError`` if no loaded plugin brings it."""
        if name in self.stores:
            return self.stores[name]
        if not self.stores:
            raise ConfigError(
                "no store plugin is loaded, and the control plane needs one to keep its resources in. "
                f"Install one, for instance: {packages.pip_install('kuma-store-memory', 'cp')} "
                "(or name it in --plugins)"
            )
        raise ConfigError(
            f'store.type is "{name}", and no loaded plugin brings that store. {_where_to_get(name)}, '
            f"or choose one that is loaded: {', '.join(sorted(self.stores))}"
        )

    def store_plugin(self, name: str) -> str:
        """The plugin that brings a store."""
        return next((plugin for plugin, items in self.provides.items() if f"store {name}" in items), KERNEL)


def _where_to_get(store: str) -> str:
    """What to install for a store that no loaded plugin brings."""
    package = packages.STORES.get(store)
    if package is None:
        return f"Install the plugin that does (its package may be called kuma-store-{store})"
    return f"Install {package} ({packages.pip_install(package, 'cp')})"


def build_catalog(features: Mapping[str, object], plugins: Iterable[Plugin]) -> Catalog:
    """Register the kernel's own features and every loaded plugin, and freeze what phase 1 returns.

    ``features`` are the kernel's, by name. Raises ``PluginError``: it names the plugin of a value that cannot be taken,
    and both of two that exclude each other.
    """
    plugins = tuple(plugins)
    manager = pluggy.PluginManager(hookspecs.NAMESPACE)
    manager.add_hookspecs(hookspecs)
    for name, module in features.items():
        register(manager, module, f"{BUILTIN}.{name}", "the kernel itself")
    for plugin in sorted(plugins, key=lambda item: item.name):
        if plugin.state is State.LOADED:
            if is_builtin(plugin.name):
                raise PluginError(
                    f'{plugin.label}: the name "{plugin.name}" is taken; {leave_out(plugin.name)}',
                    plugin.name,
                )
            register(manager, plugin.module, plugin.name, plugin.label)
    return _freeze(manager, plugins)


def _freeze(manager: pluggy.PluginManager, plugins: tuple[Plugin, ...]) -> Catalog:
    settings = collect(manager, "kuma_register_config", Setting)
    kinds = collect(manager, "kuma_register_resource_types", ResourceType)
    own_secrets = collect(manager, "kuma_register_secrets", OwnSecret)
    stores = collect(manager, "kuma_register_stores", StoreFactory)
    ca_providers = collect(manager, "kuma_register_ca_providers", CaProviderFactory)
    generators = collect(manager, "kuma_register_generators", Generator)
    policies = collect(manager, "kuma_register_policies", Policy)
    commands = collect(manager, "kuma_register_commands", Command)
    formats = collect(manager, "kuma_register_formats", OutputFormat)
    refuse_clashes("configuration key", settings, lambda item: [item.path])
    _refuse_keys_inside_keys(settings)
    refuse_clashes("environment variable", settings, lambda item: [item.env, *item.aliases])
    refuse_clashes("kind", kinds, _words)
    refuse_clashes("secret", own_secrets, lambda item: [item.pattern])
    refuse_clashes("store", stores, lambda item: [item.name])
    refuse_clashes("certificate authority", ca_providers, lambda item: [item.name])
    refuse_clashes("generator", generators, lambda item: [item.name])
    refuse_clashes("order of a generator", generators, lambda item: [item.order])
    refuse_clashes("policy of the kind", policies, lambda item: [item.kind])
    refuse_clashes("order of a policy", policies, lambda item: [item.order])
    refuse_clashes("command", commands, lambda item: [item.name])
    refuse_clashes("output format", formats, lambda item: [item.name])
    for kind in kinds:
        _require_keepable(kind)
    for entry in policies:
        _require_kind(entry, {kind.value.name for kind in kinds})
    boundary = Boundary()
    return Catalog(
        plugins=plugins,
        settings=tuple(entry.value for entry in settings),
        kinds=Kinds((entry.plugin, entry.value) for entry in kinds),
        own_secrets=tuple(entry.value for entry in own_secrets),
        stores=MappingProxyType({entry.value.name: entry.value for entry in stores}),
        ca_providers=MappingProxyType({entry.value.name: entry for entry in ca_providers}),
        generators=tuple(guarded_generator(value, boundary) for value in _in_order(generators)),
        policies=tuple(guarded_policy(value, boundary) for value in _in_order(policies)),
        provides=_provides(
            manager,
            kinds=kinds,
            stores=stores,
            ca_providers=ca_providers,
            generators=generators,
            commands=commands,
            output_formats=formats,
        ),
        manager=manager,
        boundary=boundary,
        asking=Asking(boundary),
    )


def _in_order(entries: Iterable[Contributed[T]]) -> tuple[T, ...]:
    """The values by their order, each with the name of its plugin, which errors will need."""
    values = (replace(entry.value, plugin=entry.plugin) for entry in entries)
    return tuple(sorted(values, key=lambda value: value.order))


_UNNAMED = {
    "config": "kuma_register_config",
    "secrets": "kuma_register_secrets",
    "routes": "kuma_register_routes",
    "admin routes": "kuma_register_admin_routes",
    "authenticators": "kuma_register_authenticators",
    "access": "kuma_register_access",
    "components": "kuma_register_components",
    "change listeners": "kuma_register_change_listeners",
    "metrics": "kuma_register_metrics",
    "servers": "kuma_register_servers",
    "bootstrap": "kuma_register_bootstrap",
    "a feature": "kuma_open",
    "admission": "kuma_admit",
}
"""The hooks whose values have no name of use to a reader, and what lists show instead."""


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
        for implementation in implementations(manager, hook):
            provides[owner(implementation.plugin_name)].append(what)
    return MappingProxyType({name: tuple(sorted(values)) for name, values in provides.items()})


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


def _refuse_keys_inside_keys(settings: list[Contributed[Setting]]) -> None:
    """A key cannot be a value and a section at once."""
    owners = {entry.value.path: entry.plugin for entry in settings}
    for entry in settings:
        parts = entry.value.path.split(".")
        for section in (".".join(parts[:length]) for length in range(1, len(parts))):
            if section in owners:
                foreign = foreign_one(owners[section], entry.plugin)
                raise PluginError(
                    f'the configuration key "{entry.value.path}" of plugin "{entry.plugin}" lies inside '
                    f'the key "{section}" of plugin "{owners[section]}"; {way_out(foreign)}',
                    foreign,
                )


def _words(kind: ResourceType) -> list[str]:
    """All that names a kind on the command line, folded as kumactl folds it."""
    return [_fold(word) for word in (kind.name, kind.path, kind.singular, *kind.aliases, *kind.path_aliases)]


def _fold(word: str) -> str:
    return word.replace("-", "").lower()
