"""Who somebody is to this control plane, and what they may do, for those who want to know before they try."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from kuma_core.api.contract import Route
    from kuma_core.plugin.contract import Context


@hookimpl
def kuma_register_routes(context: Context) -> Iterable[Route]:
    """``/whoami`` and ``/can-i``: everybody may ask about themselves."""
    from kuma_core.api.contract import Route
    from kuma_core.auth.contract import Right
    from kuma_core.builtin.access.routes import CanI, WhoAmI

    yield Route("/whoami", WhoAmI(), right=Right.PUBLIC)
    yield Route("/can-i", CanI(context.registered.kinds, context.registered.policies), right=Right.PUBLIC)
