"""The door for programs of plugins: commands, settings, HTTP and its certificate. It is light; no logic lives here."""

from kuma_core.commandline import (
    CONTEXT_SETTINGS,
    Command,
    Group,
    add_standard_commands,
    check_log_level,
    log_level_option,
    run,
)
from kuma_core.config import build_config
from kuma_core.durations import format_duration
from kuma_core.http_client import Answer, HttpFailure, Rules, exchange, lines
from kuma_core.live_certificate import LiveCertificate
from kuma_core.log_formats import Entry, console
from kuma_core.visible import one_line, printable

__all__ = [
    "CONTEXT_SETTINGS",
    "Answer",
    "Command",
    "Entry",
    "Group",
    "HttpFailure",
    "LiveCertificate",
    "Rules",
    "add_standard_commands",
    "build_config",
    "check_log_level",
    "console",
    "exchange",
    "format_duration",
    "lines",
    "log_level_option",
    "one_line",
    "printable",
    "run",
]
