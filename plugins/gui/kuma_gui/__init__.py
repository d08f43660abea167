"""The web interface: pages for browsers, and what they read. Nothing but hook implementations lives here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kuma_core.sdk import Setting, hookimpl

if TYPE_CHECKING:
    from kuma_core.sdk import Context, Server


@hookimpl
def kuma_register_config() -> Iterable[Setting]:
    """Where to listen; the port is a key of Kuma 0.3.1, which the kernel knows."""
    from kuma_gui.settings import SETTINGS

    return SETTINGS


@hookimpl
def kuma_register_servers(context: Context) -> Iterable[Server]:
    """The server of the pages."""
    from kuma_gui.server import gui_server

    return [gui_server(context)]
