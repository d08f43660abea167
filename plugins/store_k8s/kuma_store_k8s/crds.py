"""Custom resource definitions, as ``apiextensions.k8s.io/v1`` takes them. Pure functions.

The schema is as loose as that of Kuma 0.3: it keeps every key below ``spec``, and rules are the webhook's. ``mesh`` has
to be named, or the API server would drop it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kuma_store_k8s.names import GROUP, VERSION, KubeKind

CATEGORY = "kuma"
"""``kubectl get kuma`` shows all of them."""


def crds(kinds: Iterable[KubeKind]) -> list[dict[str, Any]]:
    """The definitions of these kinds, sorted by plural."""
    return [crd(kind) for kind in sorted(kinds, key=lambda kind: kind.plural)]


def crd(kind: KubeKind) -> dict[str, Any]:
    """The definition of a kind.

    It has no ``status`` subresource: with one, the API server would drop what clients write of it through the object.
    """
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.is_namespaced else "Cluster",
            "names": _names(kind),
            "versions": [_version(kind)],
        },
    }


def _names(kind: KubeKind) -> dict[str, Any]:
    return {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "categories": [CATEGORY],
    }


def _version(kind: KubeKind) -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema(kind)},
        "additionalPrinterColumns": _columns(kind),
    }


def _schema(kind: KubeKind) -> dict[str, Any]:
    properties: dict[str, Any] = {kind.part: {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    if kind.is_namespaced:
        properties["mesh"] = {"type": "string"}
    return {"type": "object", "properties": properties}


def _columns(kind: KubeKind) -> list[dict[str, Any]]:
    mesh = [{"name": "Mesh", "type": "string", "jsonPath": ".mesh"}] if kind.is_namespaced else []
    return [*mesh, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
