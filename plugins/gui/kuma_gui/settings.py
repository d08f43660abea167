"""The keys of ``guiServer`` that Kuma 0.3.1 did not have."""

from __future__ import annotations

from kuma_core.sdk import TEXT, Setting

SECTION = "GuiServer"
SETTINGS = (
    Setting(
        "guiServer.interface",
        "KUMA_GUI_SERVER_INTERFACE",
        "",
        TEXT,
        "Address on which the GUI listens. Empty: all addresses.",
        SECTION,
    ),
)
