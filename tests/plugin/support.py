"""Plugins that are made in a test, and the catalog of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from kuma_core.builtin import FEATURES
from kuma_core.errors import PluginError
from kuma_core.plugin.catalog import Catalog, build_catalog
from kuma_core.plugin.features import Collector, Features
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.plugin.loader import Plugin, State
from kuma_core.sdk import TEXT, ResourceType, Setting, Spec

PHASE_2 = (
    "routes",
    "admin_routes",
    "authenticators",
    "access",
    "change_listeners",
    "components",
    "metrics",
    "servers",
    "bootstrap",
)

CONTEXT: Any = SimpleNamespace(config=SimpleNamespace(settings=[]))


def module(**functions: Callable[..., Any]) -> ModuleType:
    """A plugin module whose functions are marked as hook implementations."""
    made = ModuleType("made")
    for name, function in functions.items():
        setattr(made, name, hookimpl(function))
    return made


def bringing(hook: str, *values: Any) -> ModuleType:
    """A plugin module that returns the values from one hook."""
    if hook in PHASE_2:
        return module(**{f"kuma_register_{hook}": lambda context: values})
    return module(**{f"kuma_register_{hook}": lambda: values})


def plugin(name: str, what: object) -> Plugin:
    return Plugin(name, f"acme-{name}", "2.0", State.LOADED, module=what)


def catalog(**plugins: object) -> Catalog:
    return build_catalog(FEATURES, [plugin(name, what) for name, what in plugins.items()])


def opened(**plugins: object) -> Features:
    """What these plugins bring in phase 2, without the kernel's own features."""
    made = build_catalog({}, [plugin(name, what) for name, what in plugins.items()])

    def context(name: str) -> Any:
        ask = partial(collector.opening.ask, name)
        return SimpleNamespace(**vars(CONTEXT), plugin=name, ask=ask)

    collector = Collector(made.manager, {}, context)
    return collector.open()


def refusal(**plugins: object) -> PluginError:
    with pytest.raises(PluginError) as caught:  # noqa: PT012 - whichever phase refuses them
        catalog(**plugins)
        opened(**plugins)
    return caught.value


class CardSpec(Spec):
    """A spec for tests."""

    text: str = ""


def kind(name: str, path: str, singular: str = "", aliases: tuple[str, ...] = ()) -> ResourceType:
    return ResourceType(name, path, CardSpec, singular or path.removesuffix("s"), aliases)


def setting(path: str, env: str, aliases: tuple[str, ...] = ()) -> Setting:
    return Setting(path, env, "", TEXT, "For tests.", "Test", aliases=aliases)


def generate(view: object) -> list[Any]:
    return []


def open_nothing(config: object) -> Any:
    raise AssertionError("nothing is opened in phase 1")


class Part:
    """A component for tests."""

    leader_only = False

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, stop: object) -> None:
        """Do nothing."""
