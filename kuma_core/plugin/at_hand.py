"""Which kinds the plugins beside a program bring, for commands that ask no server.

Beside kumactl the libraries of a control plane may be missing: then a plugin cannot tell its kinds, and a sentence
says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from kuma_core import packages
from kuma_core.model import ResourceType
from kuma_core.plugin import hookspecs
from kuma_core.plugin.commands import installed
from kuma_core.plugin.loader import Plugin, State
from kuma_core.plugin.registration import register

HOOK = "kuma_register_resource_types"


def kinds_at_hand(plugins: Sequence[Plugin] | None = None) -> tuple[list[ResourceType], list[str]]:
    """The kinds of the plugins (default: those that are installed and chosen), and what is wrong with other plugins.

    Raises KumaError if the choice of plugins is wrong.
    """
    kinds: list[ResourceType] = []
    problems: list[str] = []
    for plugin in installed() if plugins is None else plugins:
        if plugin.state is State.BLOCKED:
            continue
        try:
            kinds += _kinds_of(plugin)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a foreign module raises is its failure
            problems.append(_problem(plugin, error))
    return kinds, problems


def _kinds_of(plugin: Plugin) -> list[ResourceType]:
    if plugin.state is not State.LOADED:
        raise RuntimeError(plugin.problem)
    manager = pluggy.PluginManager(hookspecs.NAMESPACE)
    manager.add_hookspecs(hookspecs)
    register(manager, plugin.module, plugin.name, plugin.label)
    found: list[Any] = []
    for implementation in getattr(manager.hook, HOOK).get_hookimpls():
        found += implementation.function()
    for value in found:
        if not isinstance(value, ResourceType):
            raise TypeError(f"{HOOK} returned {value!r}, which is no ResourceType")
    return found


def _problem(plugin: Plugin, error: BaseException) -> str:
    install = packages.pip_install(plugin.distribution, "cp")
    help_ = f"install what it needs ({install})" if isinstance(error, ImportError) else "repair or upgrade it"
    said = " ".join(str(error).split())[:300]
    return f"the kinds of {plugin.label} are left out, for it cannot tell them here: {said}; {help_}"
