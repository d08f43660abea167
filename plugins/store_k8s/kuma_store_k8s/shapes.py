"""Where the records of each type are in Kubernetes, and what their objects look like. Pure functions of values.

* A kind that APIs serve is a custom resource, found by name and namespace.
* A secret is a ``Secret`` of a type of its own in the system namespace.
* What control planes say to each other to stay alive, leases, instances and deletions of meshes under way, are
  ``Lease`` objects in the system namespace: that is what Kubernetes itself has for heartbeats, ``kubectl get leases``
  shows who leads, and one right covers all of it.
* Records of any other kind that no API serves are Secrets there, of another type: nobody knows what is in them, and the
  right to them is there.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from kuma_core.sdk import InvalidResource, KumaError, Record, ResourceKey, Violation
from kuma_store_k8s.client import Json, part
from kuma_store_k8s.contents import MARK, annotated, content_and_term
from kuma_store_k8s.documents import NotAResource, document_text, held, new_object, replaced
from kuma_store_k8s.names import GROUP, VERSION, KubeKind, NotForKubernetes, is_name

TERM = f"{GROUP}/leader-term"
"""The annotation that has the term of the leader who wrote an object."""

MESH_LABEL, KIND_LABEL = f"{GROUP}/mesh", f"{GROUP}/kind"
MESH, NAME, DOCUMENT = f"{GROUP}/mesh", f"{GROUP}/name", f"{GROUP}/document"
SECRET, SECRET_TYPE, RECORD_TYPE = "Secret", "system.kuma.io/secret", "system.kuma.io/record"
LEASE_KINDS = frozenset({"Lease", "Instance", "MeshDeletion"})


class Shape(Protocol):
    """Where the records of one type are, and how they look there."""

    @property
    def collection(self) -> str:
        """The path under which all of them are."""
        ...

    @property
    def selection(self) -> Mapping[str, str]:
        """What chooses them there from among others."""
        ...

    def folder(self, key: ResourceKey) -> str:
        """The path of the collection in which a record is created. Raises ``KumaError`` for a name that cannot be."""
        ...

    def path(self, key: ResourceKey) -> str:
        """The path of a record's object. Raises ``KumaError`` for a name that cannot be."""
        ...

    def record(self, item: Json) -> Record:
        """What an object holds. Raises ``KumaError`` if it holds no record of ours."""
        ...

    def made(self, key: ResourceKey, document: str) -> Json:
        """The object for a new record. Raises ``InvalidResource``."""
        ...

    def changed(self, item: Json, key: ResourceKey, document: str) -> Json:
        """An object with another document, and all else of it as it was. Raises ``InvalidResource``."""
        ...


@dataclass(frozen=True)
class CustomShape:
    """A kind with a custom resource definition."""

    kind: KubeKind

    @property
    def collection(self) -> str:
        """In all namespaces."""
        return f"/apis/{GROUP}/{VERSION}/{self.kind.plural}"

    @property
    def selection(self) -> Mapping[str, str]:
        """All of them."""
        return {}

    def folder(self, key: ResourceKey) -> str:
        """That of the namespace."""
        namespace = self._metadata(key).get("namespace")
        return (
            f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{self.kind.plural}"
            if namespace
            else self.collection
        )

    def path(self, key: ResourceKey) -> str:
        """By name and namespace."""
        return f"{self.folder(key)}/{self._metadata(key)['name']}"

    def record(self, item: Json) -> Record:
        """The content is ``spec``, or ``status``; the term of a leader comes back where the kernel put it."""
        found = held(self.kind, item)
        text = document_text(found.content)
        term = (item["metadata"].get("annotations") or {}).get(TERM, "")
        if term.isdecimal() and term.isascii():
            text = f'{text[:-1]}{"," if found.content else ""}"{MARK}":{int(term)}}}'
        return Record(ResourceKey(self.kind.name, found.mesh, found.name), text, found.version)

    def made(self, key: ResourceKey, document: str) -> Json:
        """A new object has no labels and no finalizers."""
        content, term = content_and_term(document)
        try:
            made = new_object(self.kind, key.mesh, key.name, content)
        except NotForKubernetes as error:
            raise _unfit_name(error) from None
        return annotated(made, {TERM: term})

    def changed(self, item: Json, key: ResourceKey, document: str) -> Json:
        """Labels, annotations and owner references stay."""
        content, term = content_and_term(document)
        return annotated(replaced(self.kind, item, key.mesh, content), {TERM: term})

    def _metadata(self, key: ResourceKey) -> Mapping[str, str]:
        meta: Mapping[str, str] = new_object(self.kind, key.mesh, key.name, {})["metadata"]
        return meta


@dataclass(frozen=True)
class SecretShape:
    """Secrets in the system namespace. The name is that of the secret, whatever its mesh is."""

    namespace: str

    @property
    def collection(self) -> str:
        """In the system namespace alone: no other one need be open to us."""
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    @property
    def selection(self) -> Mapping[str, str]:
        """Ours; others there, certificates and tokens, are none of our business."""
        return {"fieldSelector": f"type={SECRET_TYPE}"}

    def folder(self, key: ResourceKey) -> str:
        """All are in one."""
        return self.collection

    def path(self, key: ResourceKey) -> str:
        """By name."""
        _require_name(key.name)
        return f"{self.collection}/{key.name}"

    def record(self, item: Json) -> Record:
        """The document is the base64 that the API shows; one without data is empty."""
        meta = item["metadata"]
        if item.get("type") != SECRET_TYPE:
            raise NotAResource(f'the Secret "{meta["name"]}" is not of the type {SECRET_TYPE}')
        mesh = (meta.get("annotations") or {}).get(MESH) or (meta.get("labels") or {}).get(MESH_LABEL)
        value = (item.get("data") or {}).get("value", "")
        key = ResourceKey(SECRET, str(mesh or _mesh_of(meta["name"])), str(meta["name"]))
        return Record(key, json.dumps(value), str(meta["resourceVersion"]))

    def made(self, key: ResourceKey, document: str) -> Json:
        """A label says which mesh it belongs to; an annotation, if that is no label's value."""
        _require_name(key.name)
        is_label = len(key.mesh) <= 63
        where = {"labels": {MESH_LABEL: key.mesh}} if is_label else {"annotations": {MESH: key.mesh}}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": key.name, "namespace": self.namespace, **where},
            "type": SECRET_TYPE,
            "data": {"value": _text(document)},
        }

    def changed(self, item: Json, key: ResourceKey, document: str) -> Json:
        """Other keys of its data stay."""
        return {**item, "data": {**(item.get("data") or {}), "value": _text(document)}}


@dataclass(frozen=True)
class RecordShape:
    """Records of one kind that no API serves, in Secrets or Leases of the system namespace."""

    type: str
    namespace: str
    is_lease: bool

    @property
    def collection(self) -> str:
        """In the system namespace alone."""
        if self.is_lease:
            return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    @property
    def selection(self) -> Mapping[str, str]:
        """Those of the kind."""
        return {"labelSelector": f"{KIND_LABEL}={self.type}"}

    def folder(self, key: ResourceKey) -> str:
        """All are in one."""
        return self.collection

    def path(self, key: ResourceKey) -> str:
        """By a name that has kind and name in it; annotations say which they are."""
        return f"{self.collection}/{part(self._name(key))}"

    def record(self, item: Json) -> Record:
        """The document is in an annotation of a Lease, and in the data of a Secret."""
        meta = item["metadata"]
        notes = meta.get("annotations") or {}
        text = (
            notes.get(DOCUMENT, "")
            if self.is_lease
            else _decoded((item.get("data") or {}).get("document", ""))
        )
        if not text or NAME not in notes:
            raise NotAResource(f'the object "{meta["name"]}" holds no record of the kind {self.type}')
        key = ResourceKey(self.type, notes.get(MESH, ""), notes[NAME])
        return Record(key, text, str(meta["resourceVersion"]))

    def made(self, key: ResourceKey, document: str) -> Json:
        """A new object."""
        meta: Json = {
            "name": self._name(key),
            "namespace": self.namespace,
            "labels": {KIND_LABEL: self.type},
            "annotations": {NAME: key.name, MESH: key.mesh},
        }
        if self.is_lease:
            base = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}
        else:
            base = {"apiVersion": "v1", "kind": "Secret", "type": RECORD_TYPE, "metadata": meta}
        return self.changed(base, key, document)

    def changed(self, item: Json, key: ResourceKey, document: str) -> Json:
        """What a Lease shows to readers follows the document."""
        if not self.is_lease:
            return {**item, "data": {"document": b64encode(document.encode()).decode()}}
        made = annotated(item, {DOCUMENT: document})
        made["spec"] = {**(item.get("spec") or {}), **_lease_spec(key, document)}
        return made

    def _name(self, key: ResourceKey) -> str:
        """Names that Kubernetes does not take, and those with a mesh, are hashed; none of them is a user's."""
        plain = f"kuma-{self.type.lower()}-{key.name}"
        if key.mesh == key.name and is_name(plain):
            return plain
        return (
            f"kuma-{self.type.lower()}-{hashlib.sha256(f'{key.mesh}/{key.name}'.encode()).hexdigest()[:32]}"
        )


def shape_of(type: str, namespace: str, kind: KubeKind | None) -> Shape:
    """The shape of a type; ``kind`` is what Kubernetes calls it, if APIs serve it."""
    if type == SECRET:
        return SecretShape(namespace)
    if kind is not None:
        return CustomShape(kind)
    return RecordShape(type, namespace, type in LEASE_KINDS)


def _lease_spec(key: ResourceKey, document: str) -> Json:
    content = json.loads(document)
    found = content if isinstance(content, dict) else {}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec: Json = {"holderIdentity": str(found.get("holder") or key.name), "renewTime": now}
    return spec | ({"leaseTransitions": found["term"]} if isinstance(found.get("term"), int) else {})


def _decoded(value: str) -> str:
    """The text of base64; empty if it is none."""
    try:
        return b64decode(value, validate=True).decode()
    except ValueError:
        return ""


def _text(document: str) -> str:
    value = json.loads(document)
    if not isinstance(value, str):
        raise InvalidResource([Violation("", "a secret is a text in base64")])
    return value


def _mesh_of(name: str) -> str:
    """The mesh of a secret that says none, as Kuma 0.3 wrote them: ``builtinca.<mesh>``."""
    authority, dot, mesh = name.partition(".")
    return mesh if dot and authority in ("builtinca", "providedca") else "default"


def _require_name(name: str) -> None:
    if not is_name(name):
        raise NotForKubernetes(f'"{name:.80}" cannot be the name of a Secret in Kubernetes')


def _unfit_name(error: KumaError) -> InvalidResource:
    return InvalidResource([Violation("name", str(error))])
