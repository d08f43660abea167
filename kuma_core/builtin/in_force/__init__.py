"""Whether what was written is in force: which proxies, of all control planes, do not run with the newest yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.in_force.feature import InForceFeature
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_open(context: Context) -> InForceFeature:
    """The fences that somebody waits behind."""
    from kuma_core.builtin.in_force.feature import InForceFeature

    return InForceFeature(context)
