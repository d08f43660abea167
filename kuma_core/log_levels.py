"""Which lines a control plane logs: one level for all of it, and others for components that are named.

What is in force is one value for the whole process, as the logging below is; it may change while the process runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LEVELS = {"off": 50, "error": 40, "warning": 30, "info": 20, "debug": 10}
"""The names of levels, as numbers of Python's own ``logging``."""

DEBUG = LEVELS["debug"]
MOST_PARTS, MOST_CHARACTERS, MOST_SEEN = 50, 2000, 1000

_COMPONENT = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)


@dataclass(frozen=True)
class Levels:
    """A level for everything, and for components by name: ``xds`` means ``xds`` itself, ``xds-…`` and ``xds.…``."""

    general: str = "info"
    components: Mapping[str, str] = field(default_factory=dict)
    _known: dict[str, int] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        parts = [f"{name}={level}" for name, level in sorted(self.components.items())]
        return ",".join([self.general, *parts])

    @property
    def lowest(self) -> int:
        """The lowest level that any component has."""
        return min(LEVELS[level] for level in (self.general, *self.components.values()))

    def of(self, component: str) -> int:
        """The level of a component: that of the longest name that means it."""
        found = self._known.get(component)
        if found is None:
            found = LEVELS[self._named(component)]
            if len(self._known) < MOST_SEEN:
                self._known[component] = found
        return found

    def _named(self, component: str) -> str:
        fitting = [name for name in self.components if means(name, component)]
        return self.components[max(fitting, key=len)] if fitting else self.general


def means(name: str, component: str) -> bool:
    """Whether a name of the levels means a component."""
    return component == name or component.startswith((f"{name}-", f"{name}."))


def parse_levels(text: str) -> Levels:
    """The levels of a text such as ``info,xds=debug``; raises ``ValueError`` that says what is wrong.

    Without a level for everything it is ``info``.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(text) > MOST_CHARACTERS or len(parts) > MOST_PARTS:
        raise ValueError(f"levels may have {MOST_CHARACTERS} characters, and {MOST_PARTS} parts")
    general, components = "", {}
    for part in parts:
        name, equals, level = part.rpartition("=")
        if level not in LEVELS:
            raise ValueError(f'unknown log level "{level:.100}"; use {choices()}, as in info,xds=debug')
        if not equals and general:
            raise ValueError(f'there are two levels for everything, "{general}" and "{level}"')
        if equals and not _COMPONENT.fullmatch(name):
            raise ValueError(
                f'"{name:.100}" is no name of a component; names are letters, digits, "-", "." and "_"'
            )
        if equals:
            components[name] = level
        else:
            general = level
    return Levels(general or "info", components)


def choices() -> str:
    """The names of the levels as messages list them."""
    *most, last = LEVELS
    return f"{', '.join(most)} or {last}"


class InForce:
    """The levels of this process, and which components have asked for theirs. For any thread."""

    def __init__(self) -> None:
        self.levels = Levels()
        self.seen: dict[str, None] = {}
        self._debugs = False
        self._changed: Callable[[Levels], None] = lambda levels: None

    def follow(self, changed: Callable[[Levels], None]) -> None:
        """Call ``changed`` with the levels whenever they change, in place of whoever followed before."""
        self._changed = changed

    def change(self, levels: Levels) -> None:
        """Log by other levels from now on."""
        self.levels, self._debugs = levels, levels.lowest <= DEBUG
        self._changed(levels)

    def wants(self, component: str, level: int) -> bool:
        """Whether a line of a component goes out."""
        if component not in self.seen and len(self.seen) < MOST_SEEN:
            self.seen[component] = None
        return level >= self.levels.of(component)

    def is_debugging(self, component: str) -> bool:
        """Whether a component tells everything. Where a line for ``debug`` would cost too much, ask this first."""
        return self._debugs and self.levels.of(component) <= DEBUG


IN_FORCE = InForce()
