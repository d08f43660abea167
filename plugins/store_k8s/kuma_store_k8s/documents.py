"""Between a resource and the custom resource that holds it: pure functions, which know neither specs nor a server.

A custom resource has ``mesh`` beside ``metadata`` and its content under ``spec`` (``status`` for a DataplaneInsight).
What else an object carries, labels and owner references say, stays with the object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kuma_core.sdk import KumaError
from kuma_store_k8s.names import (
    API_VERSION,
    KubeKind,
    check_name,
    check_namespace,
    core_name,
    part_of,
    split,
)

DEFAULT_MESH = "default"
"""The mesh of an object that names none; in 0.3 it belonged to the mesh "", where nobody saw it."""


class NotAResource(KumaError):
    """An object that holds no resource of a kind; the message says which member is wrong."""


@dataclass(frozen=True, slots=True)
class Held:
    """What an object holds: the key without its kind, the content as JSON data, and the version."""

    mesh: str
    name: str
    content: dict[str, Any]
    version: str


def new_object(kind: KubeKind, mesh: str, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The object that holds a new resource; ``name`` is the core name.

    Raises NotForKubernetes for a name that Kubernetes does not take.
    """
    made: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": kind.name,
        "metadata": metadata(kind, name),
        kind.part: dict(content),
    }
    if kind.is_namespaced:
        made["mesh"] = mesh
    return made


def metadata(kind: KubeKind, name: str) -> dict[str, Any]:
    """``metadata`` of the object of a core name. Raises NotForKubernetes."""
    if not kind.is_namespaced:
        check_name(name)
        return {"name": name}
    own, namespace = split(name)
    check_name(own)
    check_namespace(namespace)
    return {"name": own, "namespace": namespace}


def replaced(
    kind: KubeKind, present: Mapping[str, Any], mesh: str, content: Mapping[str, Any]
) -> dict[str, Any]:
    """An object with another content; labels, annotations, owner references and all else stay as they are."""
    made = {**present, kind.part: dict(content)}
    if kind.is_namespaced:
        made["mesh"] = mesh
    return made


def held(kind: KubeKind, item: Mapping[str, Any]) -> Held:
    """What an object holds. Raises NotAResource for one that the loose schema takes and no resource can be made of."""
    meta = item.get("metadata")
    name = meta.get("name") if isinstance(meta, Mapping) else None
    if not isinstance(meta, Mapping) or not isinstance(name, str) or not name:
        raise NotAResource(f"an object of the kind {kind.name} has no metadata.name")
    content = item.get(kind.part)
    if content is not None and not isinstance(content, Mapping):
        raise NotAResource(f'{kind.part} of the {kind.name} "{name}" is no object')
    version = str(meta.get("resourceVersion") or "")
    if not kind.is_namespaced:
        return Held(name, name, dict(content or {}), version)
    namespace = meta.get("namespace")
    if not isinstance(namespace, str) or not namespace:
        raise NotAResource(f'the {kind.name} "{name}" has no metadata.namespace')
    mesh = item.get("mesh")
    if mesh is not None and not isinstance(mesh, str):
        raise NotAResource(f'mesh of the {kind.name} "{name}" in the namespace "{namespace}" is no text')
    return Held(mesh or DEFAULT_MESH, core_name(name, namespace), dict(content or {}), version)


def document_text(content: Mapping[str, Any]) -> str:
    """The content as the JSON text that the kernel reads. Equal contents have equal texts."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


# -- whole documents, as operators write them


def manifest(item: Mapping[str, Any]) -> dict[str, Any]:
    """A document of ``kumactl`` as a custom resource.

    A document without ``mesh`` is of a kind that no mesh has, and becomes an object of the cluster. A name without a
    dot has no namespace: kubectl gives it one (``-n``). Raises KumaError, which says which member is missing or wrong.
    """
    meta = {key.lower(): value for key, value in item.items() if key.lower() in _META}
    content = {key: value for key, value in item.items() if key.lower() not in _META}
    kind, name = _text(meta, "type"), _text(meta, "name")
    made: dict[str, Any] = {"apiVersion": API_VERSION, "kind": kind}
    if "mesh" in meta and kind != "Mesh":
        made["mesh"] = _text(meta, "mesh")
        made["metadata"] = _own_place(name)
    else:
        check_name(name)
        made["metadata"] = {"name": name}
    return {**made, part_of(kind): content}


_META = ("type", "mesh", "name")


def _own_place(name: str) -> dict[str, Any]:
    own, _, namespace = name.rpartition(".")
    if not own:
        check_name(name)
        return {"name": name}
    check_name(own)
    check_namespace(namespace)
    return {"name": own, "namespace": namespace}


def _text(meta: Mapping[str, Any], name: str) -> str:
    value = meta.get(name)
    if not isinstance(value, str) or not value:
        raise KumaError(f"{name} of a document has to be text, and not empty")
    return value
