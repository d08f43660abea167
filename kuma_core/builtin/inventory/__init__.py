"""Which kinds of resources this store has ever been written with, so that a plugin's absence does not hide them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.inventory.feature import InventoryFeature
    from kuma_core.model import ResourceType
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_register_resource_types() -> Iterable[ResourceType]:
    """A record for each kind that a plugin brought."""
    from kuma_core.builtin.inventory.kinds import KIND_RECORD

    return [KIND_RECORD]


@hookimpl
def kuma_open(context: Context) -> InventoryFeature:
    """What is found missing is offered to whoever shows the kinds."""
    from kuma_core.builtin.inventory.feature import InventoryFeature

    return InventoryFeature(context)
