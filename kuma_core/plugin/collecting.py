"""Calls a hook of every plugin, checks what comes back, and tells whatever goes wrong with the plugin's name.

pluggy itself would let an error through without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pluggy

from kuma_core.errors import ConfigError, PluginError, StoreUnavailable, UnreadableResource
from kuma_core.plugin.boundary import bounded, told
from kuma_core.plugin.registration import foreign_one, is_builtin, owner, way_out

T = TypeVar("T")

MOST_VALUES = 10_000
"""How many values a hook may return."""


@dataclass(frozen=True, slots=True)
class Contributed(Generic[T]):
    """A value and the name of the plugin that brought it."""

    plugin: str
    value: T


def implementations(manager: pluggy.PluginManager, hook: str) -> list[Any]:
    """Who implements a hook, by name, so that logs and messages are the same at every start."""
    found = getattr(manager.hook, hook).get_hookimpls()
    return sorted(found, key=lambda implementation: implementation.plugin_name)


def collect(
    manager: pluggy.PluginManager, hook: str, expected: type[T] | tuple[type[T], ...] | None, **arguments: Any
) -> list[Contributed[T]]:
    """Call one hook of every plugin and check that each returned an iterable of ``expected`` values."""
    return collect_for(manager, hook, expected, lambda plugin: arguments)


def collect_for(
    manager: pluggy.PluginManager,
    hook: str,
    expected: type[T] | tuple[type[T], ...] | None,
    arguments: Callable[[str], Mapping[str, Any]],
) -> list[Contributed[T]]:
    """As ``collect``, where each plugin gets arguments of its own."""
    found: list[Contributed[T]] = []
    for implementation in implementations(manager, hook):
        name = owner(implementation.plugin_name)
        for value in call(implementation, hook, arguments(name), _listed):
            if expected is not None and not isinstance(value, expected):
                raise PluginError(
                    f'plugin "{name}": {hook} returned {value!r}, which is no {_named(expected)}', name, hook
                )
            found.append(Contributed(name, value))
    return found


def call(implementation: Any, hook: str, arguments: Mapping[str, Any], take: Callable[[Any], T]) -> T:
    """What one plugin returns, taken by ``take``.

    Errors of the configuration and of the store go through as they are: they say by themselves what is wrong.
    """
    name = owner(implementation.plugin_name)
    try:
        return take(implementation.function(*(arguments[argument] for argument in implementation.argnames)))
    except (ConfigError, PluginError, StoreUnavailable, UnreadableResource):
        raise
    except BaseException as error:  # a start ends with a sentence, whatever a plugin raises
        if is_builtin(name):
            raise  # whatever the kernel's own features raise needs no other name
        raise PluginError(
            f'plugin "{name}": {hook} failed: {told(error)}. Repair it, or {way_out(name)}',
            name,
            hook,
        ) from error


def _listed(result: Any) -> list[Any]:
    return bounded(result, MOST_VALUES)


def _named(expected: type[Any] | tuple[type[Any], ...]) -> str:
    kinds = expected if isinstance(expected, tuple) else (expected,)
    return " or ".join(kind.__name__ for kind in kinds)


def refuse_clashes(what: str, entries: Iterable[Contributed[T]], words: Callable[[T], Iterable[Any]]) -> None:
    """Raise if two of the values claim one word; the message names both plugins."""
    owners: dict[Any, str] = {}
    for entry in entries:
        for word in {word for word in words(entry.value) if word != ""}:
            if word in owners:
                raise _clash(what, word, owners[word], entry.plugin)
            owners[word] = entry.plugin


def _clash(what: str, word: Any, first: str, second: str) -> PluginError:
    if first == second:
        return PluginError(f'plugin "{first}" brings the {what} "{word}" twice; {way_out(first)}', first)
    foreign = foreign_one(first, second)
    message = f'plugins "{first}" and "{second}" both bring the {what} "{word}"'
    return PluginError(f"{message}; {way_out(foreign)}", foreign)
