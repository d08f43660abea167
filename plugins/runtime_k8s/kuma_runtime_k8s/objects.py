"""What a custom resource holds, as far as the questions of the API server need it. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kuma_core.sdk import KumaError, ResourceKey, ResourceType, Scope

GROUP, VERSION = "kuma.io", "v1alpha1"
DEFAULT_MESH = "default"
"""The mesh of an object that names none."""

STATUS_KINDS = frozenset({"DataplaneInsight"})


class Undecodable(KumaError):
    """An object or a question of which nothing can be made; the message says which member is wrong."""


def part_of(kind: str) -> str:
    """The member that holds the content of a kind's objects."""
    return "status" if kind in STATUS_KINDS else "spec"


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """A member that has to be an object; one that is missing or null is empty. Raises Undecodable."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Undecodable(f"{what} has to be an object")
    return value


def text(value: Any, what: str) -> str:
    """A member that has to be text; one that is missing or null is empty. Raises Undecodable."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Undecodable(f"{what} has to be text")
    return value


def key_of(kind: ResourceType, item: Mapping[str, Any]) -> ResourceKey:
    """The key of the resource that an object holds. Raises Undecodable.

    An object that is made by ``generateName`` has no name yet.
    """
    meta = mapping(item.get("metadata"), "metadata")
    name = text(meta.get("name"), "metadata.name") or text(meta.get("generateName"), "metadata.generateName")
    if kind.scope is Scope.GLOBAL:
        return kind.key(name, name)
    mesh = text(item.get("mesh"), "mesh") or DEFAULT_MESH
    return kind.key(mesh, f"{name}.{text(meta.get('namespace'), 'metadata.namespace')}")


def content_of(kind: str, item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of an object. Raises Undecodable."""
    return mapping(item.get(part_of(kind)), part_of(kind))
