"""What others may know of the configuration beside its keys: words that stand for something."""

from __future__ import annotations

AUTOCONFIGURATION = "autoconfiguration"
"""The source of a value that we computed."""

NO_SOCKET = "none"
"""The ``adminServer.socket.path`` that stands for no socket."""
