"""No proxy of this machine leads others to the control plane's own ports, where they would pass for this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.builtin.own_ports.feature import OwnPorts
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_open(context: Context) -> OwnPorts:
    """What knows the ports."""
    from kuma_core.builtin.own_ports.feature import OwnPorts

    return OwnPorts(context.config)
