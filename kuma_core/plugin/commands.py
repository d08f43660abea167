"""The commands that plugins add to a program: found when a word is not the program's own, imported when called.

``added`` is what a program hands to its root group. Nothing here is heavy: kumactl needs it, too.
"""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import click
import pluggy

from kuma_core import packages
from kuma_core.commandline import Group, is_debugging, is_of_output, path_of, tell
from kuma_core.errors import KumaError, PluginError
from kuma_core.plugin import hookspecs
from kuma_core.plugin.command import Command
from kuma_core.plugin.loader import PLUGINS_ENV, Plugin, State, discover, load, parse_selection
from kuma_core.plugin.registration import register

HOOK = "kuma_register_commands"


def installed() -> Sequence[Plugin]:
    """The plugins that are installed and chosen by ``KUMA_PLUGINS``. Raises KumaError."""
    return load(discover(), parse_selection(os.environ.get(PLUGINS_ENV), PLUGINS_ENV))


def added(
    ctx: click.Context,
    plugins: Callable[[], Sequence[Plugin]] = installed,
    finish: Callable[[click.Command], None] = lambda _command: None,
) -> Mapping[str, click.Command]:
    """The commands that ``plugins`` add to the group of ``ctx``, by name; ``finish`` gets each before it is used.

    A plugin that cannot be used costs the others nothing. A line on stderr names it, once in a run, and not while a
    shell completes words.
    """
    found: _Found | None = ctx.meta.get(__name__)
    if found is None:
        found = ctx.meta[__name__] = _Found(ctx.find_root(), plugins, finish)
        if not ctx.find_root().resilient_parsing:
            for problem in found.problems:
                tell(f"Warning: {problem}")
    return found.below(path_of(ctx))


def commands_of(plugin: Plugin) -> list[Command]:
    """What a loaded plugin answers to ``kuma_register_commands``. Raises PluginError."""
    manager = pluggy.PluginManager(hookspecs.NAMESPACE)
    manager.add_hookspecs(hookspecs)
    register(manager, plugin.module, plugin.name, plugin.label)
    found: list[Any] = []
    for implementation in manager.hook.kuma_register_commands.get_hookimpls():
        try:
            brought: Any = implementation.function()
            found += brought
        except (Exception, SystemExit) as error:
            said = f"{plugin.label}: {HOOK} failed: {type(error).__name__}: {error}"
            raise PluginError(said, plugin.name, HOOK) from error
    for value in found:
        if not isinstance(value, Command):
            said = f"{plugin.label}: {HOOK} returned {value!r}, which is no Command"
            raise PluginError(said, plugin.name, HOOK)
    return found


class _Found:
    """What plugins add to one program, by path, and what is wrong with others of them."""

    def __init__(
        self,
        root: click.Context,
        plugins: Callable[[], Sequence[Plugin]],
        finish: Callable[[click.Command], None],
    ) -> None:
        self.problems: list[str] = []
        self._root, self._program, self._finish = root, root.command.name or "", finish
        self._commands: dict[tuple[str, ...], _StandIn] = {}
        self._plugins = self._usable(plugins)
        owners: dict[tuple[str, ...], str] = {}
        for plugin in self._plugins:
            for command in self._brought_by(plugin):
                self._add(plugin, command, owners.setdefault(command.path, plugin.name))
        self._name_packages()

    def below(self, path: tuple[str, ...]) -> Mapping[str, click.Command]:
        """The commands of the group to which a path leads."""
        return {words[-1]: command for words, command in self._commands.items() if words[:-1] == path}

    def _usable(self, plugins: Callable[[], Sequence[Plugin]]) -> Sequence[Plugin]:
        try:
            found = plugins()
        except KumaError as error:
            self.problems.append(f"no plugin is used: {error}")
            return ()
        for plugin in found:
            if plugin.state in (State.BROKEN, State.INCOMPATIBLE):
                self._tell(plugin, f"{plugin.label} {plugin.problem}")
        return found

    def _brought_by(self, plugin: Plugin) -> list[Command]:
        if plugin.state is not State.LOADED:
            return []
        try:
            brought = [item for item in commands_of(plugin) if item.program == self._program]
        except PluginError as error:
            self._tell(plugin, str(error))
            return []
        refused = {item.path: problem for item in brought if (problem := self._misplaced(item))}
        for problem in refused.values():
            self._tell(plugin, f"{plugin.label} {problem}")
        return [item for item in brought if item.path not in refused]

    def _tell(self, plugin: Plugin, problem: str) -> None:
        self.problems.append(
            f"{problem}. Repair or upgrade it, or leave it out: {PLUGINS_ENV}=no:{plugin.name}"
        )

    def _misplaced(self, command: Command) -> str:
        """Why a command cannot stand where it wants to, or nothing."""
        group: click.Command | None = self._root.command
        for depth, word in enumerate(command.path):
            if not isinstance(group, Group):
                above = " ".join((self._program, *command.path[:depth]))
                return f'brings "{command.name}", and "{above}" is no group of commands of {self._program}'
            group = group.own_command(self._root, word)
        return f'brings "{command.name}", which is a command of {self._program} itself' if group else ""

    def _add(self, plugin: Plugin, command: Command, first: str) -> None:
        if command.path in self._commands:
            both = f'plugins "{first}" and "{plugin.name}" both bring the command "{command.name}"'
            twice = f'plugin "{first}" brings the command "{command.name}" twice'
            said = f"{twice if first == plugin.name else both}; leave one out: {PLUGINS_ENV}=no:{plugin.name}"
            self._refuse(command.path, "Refused, as it is brought twice.", said)
            return

        def load_it() -> click.Command:
            found = _imported(plugin, command)
            self._finish(found)
            _guard(found, plugin, command)
            return found

        self._commands[command.path] = _StandIn(command.path[-1], command.help, load_it)

    def _refuse(self, path: tuple[str, ...], help: str, sentence: str) -> None:
        def refuse() -> click.Command:
            raise KumaError(sentence)

        self._commands[path] = _StandIn(path[-1], help, refuse)

    def _name_packages(self) -> None:
        """Lists commands that people look for and no installed plugin brings; each says what to install."""
        for name, package in packages.COMMANDS.items():
            program, *words = name.split()
            if program == self._program and tuple(words) not in self._commands:
                said = f'"{name}" comes with the package {package}, {self._absence(package)}'
                self._refuse(tuple(words), f"Not here: it comes with {package}.", said)

    def _absence(self, package: str) -> str:
        """Why nothing of a package is here."""
        for plugin in self._plugins:
            if plugin.distribution == package and plugin.state is State.BLOCKED:
                return f"whose plugin {plugin.name} is left out here; look at {PLUGINS_ENV}"
            if plugin.distribution == package:
                return f"which is installed here, but of no use: {plugin.problem or 'it lacks the command'}"
        if self.problems and not self._plugins:
            return "and no plugin is used, as the warning says"
        return f"which is not installed beside {self._program}: {packages.pip_install(package)}"


class _StandIn(click.Command):
    """Stands for a command in lists until it is called."""

    def __init__(self, name: str, help: str, load_it: Callable[[], click.Command]) -> None:
        super().__init__(name, help=help, short_help=help)
        self._load_it = load_it

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            command = self._load_it()
        except KumaError:
            if parent is None or not parent.find_root().resilient_parsing:
                raise
            return super().make_context(info_name, [], parent, **extra)  # a shell that completes words
        return command.make_context(info_name, args, parent, **extra)


def _guard(found: click.Command, plugin: Plugin, command: Command) -> None:
    """From here on what goes wrong in a command, or in any below it, names the plugin.

    What click and our programs know passes, for they have words for it: errors, an end, and output that nobody takes.
    """
    for name in ("make_context", "invoke"):
        setattr(found, name, _guarded(getattr(found, name), plugin, command))


def _guarded(method: Callable[..., Any], plugin: Plugin, command: Command) -> Callable[..., Any]:
    @wraps(method)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except (KumaError, *_KNOWN):
            raise
        except Exception as error:
            if isinstance(error, OSError) and is_of_output(error):
                raise
            raise _failure(error, plugin, command) from error

    return run


_KNOWN = (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError, UnicodeEncodeError)


def _failure(error: Exception, plugin: Plugin, command: Command) -> PluginError:
    """One sentence; the traceback comes before it with ``--log-level debug``."""
    ctx = click.get_current_context(silent=True)
    if is_debugging(ctx):
        tell("".join(traceback.format_exception(error)).rstrip())
    called = ctx.invoked_subcommand if ctx else None
    below = called if ctx and called in getattr(ctx.command, "commands", ()) else None
    typed = " ".join(filter(None, (command.program, *command.path, below)))
    said = " ".join(str(error).split())[:_LONGEST_SAID] or "no reason is given"
    return PluginError(
        f'the command "{typed}" of {plugin.label} failed: {type(error).__name__}: {said}. '
        "This is a mistake in the plugin; tell its authors, with what --log-level debug adds",
        plugin.name,
        HOOK,
    )


_LONGEST_SAID = 500


def _imported(plugin: Plugin, command: Command) -> click.Command:
    module, _, attribute = command.place.partition(":")
    where = f'the command "{command.name}" of {plugin.label} cannot be loaded from {command.place}'
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise PluginError(f"{where}: {type(error).__name__}: {error}", plugin.name, HOOK) from error
    if not isinstance(found, click.Command):
        raise PluginError(f"{where}: that is {found!r}, which is no command of click", plugin.name, HOOK)
    return found
