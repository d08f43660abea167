"""Asks every plugin what speaks against a write: the one hook that the kernel calls while the control plane works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy

from kuma_core.ca.contract import Authorities
from kuma_core.errors import PluginError, StoreUnavailable, Violation
from kuma_core.model import Resource
from kuma_core.plugin.collecting import implementations
from kuma_core.plugin.registration import owner
from kuma_core.resources.contract import Resources

HOOK = "kuma_admit"


class Admission:
    """A function of a write. What a plugin raises becomes a ``PluginError`` with its name."""

    def __init__(self, manager: pluggy.PluginManager, authorities: Authorities) -> None:
        self._manager = manager
        self._authorities = authorities

    def __call__(
        self, resource: Resource | None, previous: Resource | None, resources: Resources
    ) -> list[Violation]:
        """Everything that speaks against a write, in the order of the plugins' names."""
        arguments: dict[str, Any] = {
            "resource": resource,
            "previous": previous,
            "resources": resources,
            "authorities": self._authorities,
        }
        # Looked up at each write, for the first writes come before features open and bring their hooks.
        asked = implementations(self._manager, HOOK)
        return [found for each in asked for found in _ask(each, arguments)]


def _ask(asked: Any, arguments: Mapping[str, Any]) -> list[Violation]:
    name = owner(asked.plugin_name)
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
