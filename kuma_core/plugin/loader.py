"""Finds installed plugins by their entry points, chooses among them and imports the chosen.

A plugin that cannot be imported, or was made for another kernel, does not stop this room: it becomes a
``Plugin`` of state ``broken`` or ``incompatible``, and the caller decides (kuma-cp refuses to start).
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from kuma_core import __version__
from kuma_core.errors import ConfigError, PluginError
from kuma_core.plugin import extras
from kuma_core.plugin.hookspecs import NAMESPACE

KERNEL = "kuma-core"

PLUGINS_ENV = "KUMA_PLUGINS"
"""The environment variable that selects plugins, for every program."""


class State(Enum):
    """What became of an installed plugin."""

    LOADED = "loaded"
    BLOCKED = "blocked"
    BROKEN = "broken"
    INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, slots=True)
class Installed:
    """An entry point of our group. ``load`` imports it; ``requires`` are its distribution's requirements."""

    name: str
    distribution: str
    version: str
    requires: tuple[str, ...]
    load: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin and what became of it. ``module`` holds its hook implementations, unless loading failed."""

    name: str
    distribution: str
    version: str
    state: State
    problem: str = ""
    module: object | None = None

    @property
    def label(self) -> str:
        """How messages name it."""
        return f'plugin "{self.name}" ({self.distribution} {self.version})'


@dataclass(frozen=True, slots=True)
class Selection:
    """Which plugins the operator wants: ``only`` these (``None``: all), and none of ``without``."""

    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    def admits(self, name: str) -> bool:
        """Whether the operator wants the plugin of that name."""
        return (self.only is None or name in self.only) and name not in self.without


def parse_selection(text: str | None, said_by: str = "--plugins") -> Selection:
    """Read what ``--plugins`` or ``KUMA_PLUGINS`` says; ``-`` in a name is ``_``. Errors name who said it.

    ``None``: all that are installed. ``a,b``: only these. ``no:x``: all but that. ``''``: none.
    Raises ``ConfigError`` if both forms are mixed or a name is empty.
    """
    if text is None:
        return Selection()
    words = [word.strip().replace("-", "_") for word in text.split(",")] if text.strip() else []
    without = [word.removeprefix("no:") for word in words if word.startswith("no:")]
    if without and len(without) != len(words):
        raise ConfigError(f'{said_by} "{text}": name either plugins to load (a,b) or to leave out (no:x)')
    if not all(words) or not all(without):
        raise ConfigError(f'{said_by} "{text}": a plugin name is empty')
    return Selection(without=frozenset(without)) if without else Selection(only=frozenset(words))


def discover() -> list[Installed]:
    """Every entry point of our group on this machine, sorted by name; this imports none of them."""
    found = []
    for entry in importlib.metadata.entry_points(group=NAMESPACE):
        dist = entry.dist
        found.append(
            Installed(
                name=entry.name.replace("-", "_"),
                distribution=dist.name if dist else "unknown",
                version=dist.version if dist else "unknown",
                requires=tuple(dist.requires or ()) if dist else (),
                load=entry.load,
            )
        )
    return sorted(found, key=lambda item: (item.name, item.distribution))


def load(installed: Iterable[Installed], selection: Selection, extra: str = "") -> list[Plugin]:
    """Import the chosen plugins, one at a time, each failure kept to its own plugin.

    A plugin that was installed without the libraries of its ``extra`` is broken, and is not imported. Raises
    ``ConfigError`` if the selection names a plugin that is not installed, and ``PluginError`` if two distributions
    brought plugins of one name.
    """
    installed = list(installed)
    _refuse_twins(installed)
    missing = sorted((selection.only or frozenset()) - {item.name for item in installed})
    if missing:
        known = ", ".join(item.name for item in installed) or "none"
        raise ConfigError(
            f'plugin "{missing[0]}" is not installed here. Installed plugins: {known}. '
            f"Install its package with pip, or leave it out of --plugins"
        )
    return [
        _load_one(item, extra) if selection.admits(item.name) else _as(item, State.BLOCKED)
        for item in installed
    ]


def _refuse_twins(installed: list[Installed]) -> None:
    counts = Counter(item.name for item in installed)
    for name, count in counts.items():
        if count > 1:
            owners = " and ".join(item.distribution for item in installed if item.name == name)
            raise PluginError(f'{owners} both bring a plugin named "{name}"; uninstall one of them', name)


def _load_one(item: Installed, extra: str) -> Plugin:
    if problem := _incompatibility(item):
        return _as(item, State.INCOMPATIBLE, problem)
    if extra and (problem := extras.advice(item.distribution, item.requires, extra)):
        return _as(item, State.BROKEN, problem)
    try:
        return _as(item, State.LOADED, module=item.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a foreign module raises is its failure
        return _as(item, State.BROKEN, f"cannot be imported: {type(error).__name__}: {error}")


def _incompatibility(item: Installed) -> str:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for line in item.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # pip could not have installed it by this line either
        if canonicalize_name(requirement.name) != KERNEL:
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            return f"needs {KERNEL} {requirement.specifier}, and this is {KERNEL} {__version__}"
    return ""


def _as(item: Installed, state: State, problem: str = "", module: object | None = None) -> Plugin:
    return Plugin(item.name, item.distribution, item.version, state, problem, module)


def refuse_bare_kernel() -> None:
    """Raise ConfigError if the kernel itself lacks what a control plane needs."""
    try:
        requires = importlib.metadata.requires(KERNEL) or ()
    except importlib.metadata.PackageNotFoundError:
        return  # it runs from a folder of sources, whose user installs its libraries
    if problem := extras.advice(KERNEL, requires, extras.CONTROL_PLANE):
        raise ConfigError(f"{KERNEL} {problem}")


def refuse_unusable(plugins: Iterable[Plugin]) -> None:
    """Stop the start if a chosen plugin is broken or incompatible; the message says the way out."""
    from kuma_core.plugin.registration import leave_out

    for plugin in plugins:
        if plugin.state in (State.BROKEN, State.INCOMPATIBLE):
            raise PluginError(
                f"{plugin.label} {plugin.problem}. Repair or upgrade it, or {leave_out(plugin.name)}",
                plugin.name,
            )
