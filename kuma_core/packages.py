"""Which package brings what the kernel only knows by name, so that a message can say what to install."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "kumactl install database-schema": "kuma-store-postgres",
        "kumactl manage ca builtin": "kuma-ca-builtin",
        "kumactl manage ca provided": "kuma-ca-provided",
    }
)
"""Commands of plugins that people look for, with the program's name."""

_POLICY_TRAFFIC = ("HealthCheck", "ProxyTemplate", "TrafficLog", "TrafficPermission", "TrafficRoute")

KINDS: Mapping[str, str] = MappingProxyType(dict.fromkeys(_POLICY_TRAFFIC, "kuma-policy-traffic"))
"""Kinds of resources that people look for."""


def of_kind(word: str) -> str:
    """What to install for the kind that a word means, as a sentence; empty for a word that is none of ours.

    Singular or plural, whatever the case and the dashes.
    """
    wanted = _bare(word)
    for kind, package in KINDS.items():
        if _bare(kind) == wanted:
            return (
                f"{kind} comes with the package {package}, which this control plane does not use; "
                f"install it beside kuma-cp (pip install '{package}[cp]') and restart kuma-cp"
            )
    return ""


def _bare(word: str) -> str:
    return word.replace("-", "").lower().removesuffix("s")
