"""The kernel's own features, each in a room of its own, through the hooks that everybody has.

A feature is a module with hook implementations, as a plugin is. What it brings lives beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from kuma_core.builtin import (
    access,
    archive,
    audited,
    cluster,
    configuration,
    events,
    in_force,
    insights,
    inventory,
    logging_levels,
    mesh,
    metrics_listener,
    own_ports,
    presence,
    proxies,
    quarantine,
    rotation,
    services,
    status,
    tokens,
    transparent,
)

FEATURES: Mapping[str, ModuleType] = MappingProxyType(
    {
        "access": access,
        "archive": archive,
        "audited": audited,
        "cluster": cluster,
        "configuration": configuration,
        "events": events,
        "in_force": in_force,
        "insights": insights,
        "inventory": inventory,
        "logging_levels": logging_levels,
        "mesh": mesh,
        "metrics_listener": metrics_listener,
        "own_ports": own_ports,
        "presence": presence,
        "proxies": proxies,
        "quarantine": quarantine,
        "rotation": rotation,
        "services": services,
        "status": status,
        "tokens": tokens,
        "transparent": transparent,
    }
)
"""By the name that a plugin asks for as ``builtin.<name>``."""
