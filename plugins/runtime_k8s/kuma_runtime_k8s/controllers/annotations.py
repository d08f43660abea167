"""The annotations of Pods that we read, as Kuma 0.3 has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INJECTED = "kuma.io/sidecar-injected"
MESH = "kuma.io/mesh"
GATEWAY = "kuma.io/gateway"
TRANSPARENT = "kuma.io/transparent-proxying"
INJECTION = "kuma.io/sidecar-injection"
"""On a namespace it asks for sidecars; ``disabled`` on a Pod leaves that one out."""
REDIRECT_PORT = "kuma.io/transparent-proxying-port"

DEFAULT_MESH = "default"
LARGEST_PORT = 65535

Object = Mapping[str, Any]


def metadata(item: Object) -> Object:
    """The metadata of an object."""
    found: Object = item.get("metadata") or {}
    return found


def annotation(pod: Object, name: str) -> str:
    """An annotation of a Pod; empty if it has none of that name."""
    return str((metadata(pod).get("annotations") or {}).get(name) or "")


def is_injected(pod: Object) -> bool:
    """Whether a proxy runs in the Pod."""
    return annotation(pod, INJECTED) == "true"


def may_have_sidecar(pod: Object) -> bool:
    """Whether the injector would give the Pod a proxy, if its namespace asks for that and the Pod were created now."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    is_ending = status.get("phase") in ("Succeeded", "Failed") or "deletionTimestamp" in metadata(pod)
    wants_none = annotation(pod, INJECTION) == "disabled" or spec.get("hostNetwork") is True
    return not (is_injected(pod) or is_ending or wants_none)


def is_gateway(pod: Object) -> bool:
    """Whether the Pod only calls others."""
    return annotation(pod, GATEWAY) == "enabled"


def mesh_of(pod: Object) -> str:
    """The mesh that the Pod is to be in."""
    return annotation(pod, MESH) or DEFAULT_MESH


def redirect_port(pod: Object) -> int | None:
    """Where redirected traffic arrives; 0 if that is not said, or cannot be; ``None`` without redirection."""
    if annotation(pod, TRANSPARENT) != "enabled":
        return None
    said = annotation(pod, REDIRECT_PORT)
    port = int(said) if said.isascii() and said.isdigit() and len(said) <= len(str(LARGEST_PORT)) else 0
    return port if port <= LARGEST_PORT else 0
