"""Reading a Pod as the API server sends it, whatever is in it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kuma_core.sdk import KumaError

SIDECAR, INIT = "kuma-sidecar", "kuma-init"
"""The names of the containers that are added."""

MESH = "kuma.io/mesh"
GATEWAY = "kuma.io/gateway"
INJECTION = "kuma.io/sidecar-injection"
"""On a namespace it asks for sidecars; ``disabled`` on a Pod, an addition to Kuma 0.3, leaves that one out."""

DEFAULT_MESH = "default"

Object = Mapping[str, Any]


class Undecodable(KumaError):
    """What was sent is no Pod; the message says which member is wrong."""


def member(item: Object, name: str) -> Object:
    """A member that has to be an object; one that is missing or null is empty. Raises Undecodable."""
    found = item.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise Undecodable(f"{name} has to be an object")
    return found


def members(item: Object, name: str) -> list[Object]:
    """A member that has to be a list of objects; one that is missing or null is empty. Raises Undecodable."""
    found = item.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise Undecodable(f"{name} has to be a list of objects")
    return found


def annotations_of(pod: Object) -> Object:
    """The annotations of a Pod."""
    return member(member(pod, "metadata"), "annotations")


def mesh_of(pod: Object) -> str:
    """The name of the mesh that a Pod is to be in."""
    return str(annotations_of(pod).get(MESH) or DEFAULT_MESH)


def is_gateway(pod: Object) -> bool:
    """Whether what comes in is left alone."""
    return bool(annotations_of(pod).get(GATEWAY) == "enabled")


def why_not(pod: Object) -> str:
    """Why a Pod is left as it is; empty for one that gets a sidecar. Raises Undecodable."""
    spec = member(pod, "spec")
    if SIDECAR in names([*members(spec, "containers"), *members(spec, "initContainers")]):
        return "it has a sidecar"
    if annotations_of(pod).get(INJECTION) == "disabled":
        return f"its annotation {INJECTION} says disabled"
    if spec.get("hostNetwork") is True:  # the redirection would be the node's
        return "it is in the network of its node"
    return ""


def names(containers: Iterable[Object]) -> set[str]:
    """The names of containers."""
    return {str(container.get("name")) for container in containers}
