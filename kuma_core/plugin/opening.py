"""Opens the plugins that have several parts, each once, and those first for whose offers others ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pluggy

from kuma_core.errors import PluginError
from kuma_core.plugin.collecting import call, implementations
from kuma_core.plugin.contract import Context
from kuma_core.plugin.registration import OPENED, owner, register, way_out

PHASE_1 = (
    "kuma_register_config",
    "kuma_register_resource_types",
    "kuma_register_secrets",
    "kuma_register_stores",
    "kuma_register_ca_providers",
    "kuma_register_generators",
    "kuma_register_policies",
    "kuma_open",
)
"""The hooks that a module alone implements: the kernel calls them before it opens any plugin."""


class Opening:
    """Opens every plugin that implements ``kuma_open``, and hands out what each offers.

    ``kernel`` are the objects that the kernel itself offers, by name; ``context_of`` makes a plugin's context. What was
    opened is registered as a further plugin, so that its hooks are called as those of a module are.
    """

    def __init__(
        self,
        manager: pluggy.PluginManager,
        kernel: Mapping[str, object],
        context_of: Callable[[str], Context],
    ) -> None:
        self._manager, self._context_of = manager, context_of
        self._offers: dict[str, object] = dict(kernel)
        self._opened: dict[str, object] = {}
        self._at_work: list[str] = []
        self._openers = {owner(found.plugin_name): found for found in implementations(manager, "kuma_open")}

    def all(self) -> None:
        """Open every plugin; raises ``PluginError`` that names the one that cannot be opened."""
        for name in self._openers:
            self._open(name)

    def ask(self, asking: str, plugin: str, contract: type[Any]) -> Any:
        """What ``plugin`` offers; see ``Context.ask``."""
        if plugin not in self._offers:
            self._require(asking, plugin)
            self._open(plugin)
        offer = self._offers.get(plugin)
        if offer is None or not isinstance(offer, contract):
            raise PluginError(
                f'plugin "{asking}" asks for {contract.__name__}, and what "{plugin}" offers is none', asking
            )
        return offer

    def _require(self, asking: str, plugin: str) -> None:
        if plugin in self._at_work:
            circle = " asks ".join(f'"{name}"' for name in (*self._at_work, plugin))
            raise PluginError(f"plugins wait for each other to be opened: {circle}", asking)
        if plugin not in self._openers:
            raise PluginError(
                f'plugin "{asking}" asks for what the plugin "{plugin}" offers, and that one is not loaded; '
                f"install it, or {way_out(asking, 'the other')}",
                asking,
            )

    def _open(self, name: str) -> None:
        if name in self._opened:
            return
        opener = self._openers[name]
        self._at_work.append(name)
        try:
            opened = call(opener, "kuma_open", {"context": self._context_of(name)}, lambda found: found)
        finally:
            self._at_work.pop()
        self._opened[name] = opened
        if opened is not None:
            register(self._manager, opened, name + OPENED, f'plugin "{name}"')
            self._refuse_late(name, opened)
            self._offers[name] = getattr(opened, "offer", None)

    def _refuse_late(self, name: str, opened: object) -> None:
        """Refuse hooks of phase 1 on an opened object: the kernel has asked them by now, and would never call these."""
        for hook in PHASE_1:
            if hasattr(type(opened), hook):
                raise PluginError(
                    f'plugin "{name}": {hook} belongs into the module, not into what kuma_open returns',
                    name,
                    hook,
                )
