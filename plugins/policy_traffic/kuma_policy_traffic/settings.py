"""The configuration keys of this plugin."""

from __future__ import annotations

import re
from typing import Any

from kuma_core.sdk import TEXTS, Setting

ALLOWED = "policies.proxyTemplate.allowedTypes"
DIRECTORY = "logging.directory"
"""The kernel's: below which folder of the proxies' machines files of access logs have to be; empty: anywhere."""
_NAME = re.compile(r"\*|envoy-admin|%[A-Z][A-Z0-9_]*%|(envoy|google|udpa|xds)(\.[A-Za-z0-9_]+)+")


def _names(values: Any) -> str | None:
    wrong = next((value for value in values if not _NAME.fullmatch(str(value))), None)
    if wrong is None:
        return None
    return f'"{wrong:.100}" is no name of a type of Envoy, such as envoy.extensions.filters.http.lua.v3.Lua'


SETTINGS = (
    Setting(
        ALLOWED,
        "KUMA_POLICIES_PROXY_TEMPLATE_ALLOWED_TYPES",
        (),
        TEXTS,
        "What a ProxyTemplate may hold beside what it may anyway, by the names in its refusals; * is everything.",
        "Policies validation failed: ProxyTemplate",
        _names,
    ),
)
