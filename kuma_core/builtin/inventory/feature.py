"""Compares the kinds that plugins bring now with those that they brought before."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from kuma_core.builtin.inventory.contract import MissingKind
from kuma_core.builtin.inventory.kinds import KIND_RECORD, KindRecordSpec
from kuma_core.model import Resource
from kuma_core.plugin.contract import Context
from kuma_core.plugin.hookspecs import hookimpl
from kuma_core.plugin.registration import is_builtin

_log = structlog.get_logger("kuma-cp.run")


class OpenedInventory:
    """What the feature offers; see ``Inventory``."""

    def __init__(self) -> None:
        self.missing: tuple[MissingKind, ...] = ()


class InventoryFeature:
    """Looks once, at the start: only a start changes which plugins there are."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.offer = OpenedInventory()

    @hookimpl
    def kuma_prepare(self) -> None:
        """Note the kinds of today, and tell of resources whose kind nobody brings any more."""
        known = {record.name: record.spec for record in self._context.resources.list(KIND_RECORD.name)}
        for kind, spec in self._brought():
            if known.get(kind) != spec:
                key = KIND_RECORD.key("", kind)
                self._context.resources.put(Resource(key, spec))
        self.offer.missing = tuple(self._missing(known))
        for found in self.offer.missing:
            _log.warning(
                "resources are stored that no loaded plugin brings: they stay, and nobody sees them. Install the "
                "package, or leave the plugin in --plugins",
                kind=found.kind,
                count=found.count,
                plugin=found.plugin,
                package=found.distribution,
            )

    def _brought(self) -> Iterator[tuple[str, KindRecordSpec]]:
        kinds = self._context.registered.kinds
        for kind in kinds:
            owner = kinds.owner(kind.name)
            if kind.stored and not is_builtin(owner):
                distribution = self._context.registered.distribution(owner)
                yield kind.name, KindRecordSpec(plugin=owner, distribution=distribution)

    def _missing(self, known: dict[str, KindRecordSpec]) -> Iterator[MissingKind]:
        for kind, spec in sorted(known.items()):
            if kind not in self._context.registered.kinds and (found := self._context.store.list(kind)):
                yield MissingKind(kind, spec.plugin, spec.distribution, len(found))
