"""Short ways to write resources in tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def mesh(name: str, **spec: Any) -> dict[str, Any]:
    """A Mesh document."""
    return {"type": "Mesh", "name": name, **spec}


def inbound(interface: str, service: str, **tags: str) -> dict[str, Any]:
    """An inbound with its tags."""
    return {"interface": interface, "tags": {"service": service, **tags}}


def outbound(interface: str, service: str) -> dict[str, Any]:
    """An outbound."""
    return {"interface": interface, "service": service}


def dataplane(
    name: str,
    *inbounds: dict[str, Any],
    outbounds: Iterable[dict[str, Any]] = (),
    mesh: str = "default",
    gateway: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A Dataplane document; ``gateway`` are the tags of a gateway without inbounds."""
    networking: dict[str, Any] = {}
    if inbounds:
        networking["inbound"] = list(inbounds)
    if outbounds:
        networking["outbound"] = list(outbounds)
    if gateway is not None:
        networking["gateway"] = {"tags": gateway}
    return {"type": "Dataplane", "mesh": mesh, "name": name, "networking": networking}
