"""Who offers what in a mesh, who calls whom, whether they may, and what an operator should look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.services.feature import ServicesFeature
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_open(context: Context) -> ServicesFeature:
    """The maps of all meshes, which the routes share."""
    from kuma_core.builtin.services.feature import ServicesFeature

    return ServicesFeature(context)
