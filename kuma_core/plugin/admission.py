"""Asks every plugin what speaks against a write: the one hook that is called while the control plane works."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from kuma_core.errors import PluginError, StoreUnavailable, Violation
from kuma_core.model import Resource

if TYPE_CHECKING:
    from kuma_core.ca.authorities import Authorities
    from kuma_core.resources.manager import ResourceManager

HOOK = "kuma_admit"


class Admission:
    """A function of a write. What a plugin raises becomes a ``PluginError`` with its name."""

    def __init__(self, implementations: Iterable[pluggy.HookImpl], authorities: Authorities) -> None:
        by_name = sorted(implementations, key=lambda implementation: implementation.plugin_name)
        self._implementations = tuple(by_name)
        self._authorities = authorities

    def __call__(
        self, resource: Resource | None, previous: Resource | None, resources: ResourceManager
    ) -> list[Violation]:
        """Everything that speaks against a write, in the order of the plugins' names."""
        arguments: dict[str, Any] = {
            "resource": resource,
            "previous": previous,
            "resources": resources,
            "authorities": self._authorities,
        }
        return [found for asked in self._implementations for found in _ask(asked, arguments)]


def _ask(asked: Any, arguments: Mapping[str, Any]) -> list[Violation]:
    name = asked.plugin_name
    try:
        found: list[Any] = list(asked.function(*(arguments[argument] for argument in asked.argnames)))
    except (StoreUnavailable, PluginError):
        raise
    except Exception as error:
        raise PluginError(
            f'plugin "{name}": {HOOK} failed: {type(error).__name__}: {error}', name, HOOK
        ) from error
    for value in found:
        if not isinstance(value, Violation):
            raise PluginError(
                f'plugin "{name}": {HOOK} returned {value!r}, which is no Violation', name, HOOK
            )
    return found
