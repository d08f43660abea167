"""Registers one plugin with pluggy, and refuses by its name what pluggy would overlook or fail on later."""

from __future__ import annotations

import inspect

import pluggy

from kuma_core import packages
from kuma_core.errors import PluginError

BUILTIN = "builtin"
"""What the names of the kernel's own features begin with, as in ``builtin.tokens``."""

HOOK_PREFIXES = ("kuma_register_", "kuma_admit", "kuma_open", "kuma_prepare")

OPENED = ":opened"
"""How the name ends under which pluggy knows an opened plugin's object: it refuses a name twice."""


def owner(registered: str) -> str:
    """The plugin's name as messages show it, from the name under which pluggy knows it."""
    return registered.removesuffix(OPENED)


def is_builtin(plugin: str) -> bool:
    """Whether a plugin is one of the kernel's own features, which no flag leaves out."""
    return plugin == BUILTIN or plugin.startswith(f"{BUILTIN}.")


def way_out(plugin: str, it: str = "it") -> str:
    """What to do about a plugin that cannot be taken; the kernel's own features cannot be left out."""
    if is_builtin(plugin):
        return f"install the kernel anew: {packages.pip_install('kuma-core', 'cp')}"
    return leave_out(plugin, it)


def leave_out(plugin: str, it: str = "it") -> str:
    """How to start without an installed plugin, whatever its name."""
    return f"start without {it}: --plugins no:{plugin}"


def foreign_one(first: str, second: str) -> str:
    """Of two plugins that exclude each other the one that can be left out: the second, unless it is the kernel's."""
    return first if is_builtin(second) else second


def register(manager: pluggy.PluginManager, module: object, name: str, label: str) -> None:
    """Register one plugin; refuse what pluggy would overlook or fail on later without a name."""
    try:
        manager.register(module, name=name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{label}: {_first_lines(error)}", name) from error
    except ValueError as error:
        raise PluginError(f"{label}: {_taken(manager, module, name)}; {way_out(name)}", name) from error
    own = _implementations(manager, module)
    for attribute in dir(module):
        if attribute.startswith(HOOK_PREFIXES) and attribute not in own:
            raise PluginError(f"{label}: {attribute} lacks the @hookimpl decorator", name)
    for hook, implementation in own.items():
        _check_signature(implementation, hook, name, label)


def _taken(manager: pluggy.PluginManager, module: object, name: str) -> str:
    """Why pluggy does not register: it knows the module, or the name, already."""
    known = manager.get_name(module)
    return f'its module is that of the plugin "{known}"' if known else f'the name "{name}" is taken'


def _implementations(manager: pluggy.PluginManager, module: object) -> dict[str, pluggy.HookImpl]:
    """The hook implementations of one module, by hook, whatever its functions are called."""
    return {
        caller.name: implementation
        for caller in manager.get_hookcallers(module) or ()
        for implementation in caller.get_hookimpls()
        if implementation.plugin is module
    }


def _first_lines(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())


def _check_signature(implementation: pluggy.HookImpl, hook: str, name: str, label: str) -> None:
    if inspect.iscoroutinefunction(implementation.function):
        raise PluginError(f"{label}: {hook} must be a plain function, not a coroutine", name, hook)
    if implementation.wrapper or implementation.hookwrapper:
        raise PluginError(
            f"{label}: {hook} may not be a hook wrapper; hooks here only return values", name, hook
        )
    for parameter in inspect.signature(implementation.function).parameters.values():
        if parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
            raise PluginError(
                f'{label}: parameter "{parameter.name}" of {hook} may have no default '
                "and may not be keyword-only",
                name,
                hook,
            )
