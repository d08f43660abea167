"""Calls the code that kinds of resources bring, their specs' methods, through the boundary around plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from kuma_core.errors import KumaError, Violation
from kuma_core.kinds import Kinds
from kuma_core.model import Resource
from kuma_core.plugin.boundary import Boundary, bounded
from kuma_core.plugin.registration import is_builtin

T = TypeVar("T")

MOST_VIOLATIONS = 1000
"""How many rules one resource may break."""


class Through(Protocol):
    """Calls what a kind brings, named by its name and what is done."""

    def __call__(self, kind: str, what: str, function: Callable[[], T]) -> T:
        """What ``function`` returns; raises ``PluginFailed``, and every ``KumaError`` as it is."""
        ...


def directly(kind: str, what: str, function: Callable[[], T]) -> T:
    """Call it as code of the kernel."""
    return function()


def through(kinds: Kinds, boundary: Boundary | None) -> Through:
    """Calls the code of the kinds of plugins through ``boundary``; that of the kernel's own directly."""
    if boundary is None:
        return directly
    owners = {kind.name: kinds.owner(kind.name) for kind in kinds}
    foreign = {kind: owner for kind, owner in owners.items() if not is_builtin(owner)}

    def call(kind: str, what: str, function: Callable[[], T]) -> T:
        if kind not in foreign:
            return function()
        return boundary.call(foreign[kind], f"{what} of {kind}", function, (KumaError,), budget=False)

    return call


def completed(resource: Resource, through: Through) -> Resource:
    """The resource with its defaults."""
    spec: Any = through(resource.key.type, "with_defaults", resource.spec.with_defaults)
    return Resource(resource.key, spec)


def violations(resource: Resource, through: Through) -> list[Violation]:
    """Every rule that a resource breaks."""
    return through(
        resource.key.type, "violations", lambda: bounded(resource.spec.violations(), MOST_VIOLATIONS)
    )
