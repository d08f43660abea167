"""Output formats that plugins add to kumactl: which there are, and what makes the text of resources in one.

Nothing here is heavy, and nothing is asked before somebody names a format that kumactl itself does not have.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pluggy

from kuma_core import packages
from kuma_core.errors import KumaError, PluginError
from kuma_core.plugin import hookspecs
from kuma_core.plugin.command import OWN_FORMATS, OutputFormat
from kuma_core.plugin.commands import installed
from kuma_core.plugin.loader import PLUGINS_ENV, Plugin, State
from kuma_core.plugin.registration import register

HOOK = "kuma_register_formats"

Render = Callable[[Sequence[Mapping[str, Any]]], str]
"""Makes the text of resources, given as documents of kumactl. Raises KumaError for one that it has no words for."""


def find(name: str, plugins: Callable[[], Sequence[Plugin]] = installed) -> Render:
    """What makes texts in the format of that name. Raises KumaError, which says what to install for one of ours."""
    entries = list(_brought(plugins()))
    of_that_name = [(plugin, value) for plugin, value in entries if value.name == name]
    if not of_that_name:
        raise KumaError(f'unknown output format "{name}"; {packages.of_format(name) or _known(entries)}')
    if len(of_that_name) > 1:
        both = " and ".join(plugin.label for plugin, _ in of_that_name)
        raise KumaError(f'both {both} bring the output format "{name}"; leave one out: {PLUGINS_ENV}=no:NAME')
    return _guarded(*of_that_name[0])


def _known(entries: Sequence[tuple[Plugin, OutputFormat]]) -> str:
    *others, last = [*OWN_FORMATS, *sorted({value.name for _, value in entries})]
    return f"use {', '.join(others)} or {last}"


def _brought(plugins: Sequence[Plugin]) -> Iterator[tuple[Plugin, OutputFormat]]:
    for plugin in plugins:
        if plugin.state is State.LOADED:
            yield from ((plugin, value) for value in _formats_of(plugin))


def _formats_of(plugin: Plugin) -> list[OutputFormat]:
    manager = pluggy.PluginManager(hookspecs.NAMESPACE)
    manager.add_hookspecs(hookspecs)
    register(manager, plugin.module, plugin.name, plugin.label)
    found: list[Any] = []
    for implementation in getattr(manager.hook, HOOK).get_hookimpls():
        try:
            found += implementation.function()
        except (Exception, SystemExit) as error:
            raise _failed(plugin, HOOK, error) from error
    if wrong := [value for value in found if not isinstance(value, OutputFormat)]:
        raise PluginError(
            f"{plugin.label}: {HOOK} returned {wrong[0]!r}, which is no OutputFormat", plugin.name, HOOK
        )
    return found


def _guarded(plugin: Plugin, value: OutputFormat) -> Render:
    """The function at the format's place; what goes wrong in it names the plugin."""
    module, _, attribute = value.place.partition(":")

    def render(items: Sequence[Mapping[str, Any]]) -> str:
        try:
            return str(getattr(importlib.import_module(module), attribute)(items))
        except KumaError:
            raise
        except (Exception, SystemExit) as error:
            raise _failed(plugin, f'the output format "{value.name}"', error) from error

    return render


def _failed(plugin: Plugin, what: str, error: BaseException) -> PluginError:
    said = " ".join(str(error).split())[:500]
    return PluginError(f"{plugin.label}: {what} failed: {type(error).__name__}: {said}", plugin.name, HOOK)
