"""The door for commands that plugins add to ``kumactl``. It loads an HTTP client; no logic lives here.

Import it in the module that holds the commands, never in a plugin's ``__init__``: lists of commands need it not.
"""

from kuma_core.commandline import Group
from kuma_core.http_client import Answer
from kuma_core.kumactl.admin import admin_client
from kuma_core.kumactl.client import ApiError, Client, Unreachable, item_path, json_object, known_shape
from kuma_core.kumactl.files import bounded_text
from kuma_core.kumactl.output import dump, output_option
from kuma_core.kumactl.session import Session, pass_session, warn
from kuma_core.kumactl.table import layout
from kuma_core.plugin.at_hand import kinds_at_hand
from kuma_core.visible import printable

__all__ = [
    "Answer",
    "ApiError",
    "Client",
    "Group",
    "Session",
    "Unreachable",
    "admin_client",
    "bounded_text",
    "dump",
    "item_path",
    "json_object",
    "kinds_at_hand",
    "known_shape",
    "layout",
    "output_option",
    "pass_session",
    "printable",
    "warn",
]
