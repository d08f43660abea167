"""The keys of the configuration that Kuma 0.3.1 did not have."""

from __future__ import annotations

from kuma_core.sdk import TEXT, Setting

AUDIENCE = "runtime.kubernetes.tokenAudience"

SETTINGS = [
    Setting(
        AUDIENCE,
        "KUMA_KUBERNETES_TOKEN_AUDIENCE",
        "",
        TEXT,
        "Audience that tokens of proxies have to be meant for. Empty: that of the API server.",
        "Runtime",
    )
]
