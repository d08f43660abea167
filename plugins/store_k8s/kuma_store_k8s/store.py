"""The store: six verbs over the API server, each read a live one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import structlog

from kuma_core.sdk import (
    AlreadyExists,
    Conflict,
    InvalidResource,
    Kinds,
    KumaError,
    NotFound,
    Publish,
    Record,
    ResourceKey,
    Stop,
    StoreUnavailable,
    UnreadableResource,
    Violation,
    not_found,
)
from kuma_store_k8s.answers import ApiRefusal
from kuma_store_k8s.client import ApiClient, Json
from kuma_store_k8s.hub import BACKLOG, Hub
from kuma_store_k8s.names import API_VERSION, KubeKind, NotForKubernetes, kube_kinds
from kuma_store_k8s.reflector import PAGE
from kuma_store_k8s.shapes import CustomShape, Shape, shape_of

_log = structlog.get_logger("store-kubernetes")

REMEMBERED = 2_000
"""Of how many objects we keep the last state that we saw: an update sends all of it back."""


class KubernetesStore:
    """Keeps records as objects of Kubernetes. See ``kuma_core.sdk.Store`` for what each verb does."""

    def __init__(
        self, client: ApiClient, namespace: str, kinds: Collection[KubeKind] = (), backlog: int = BACKLOG
    ) -> None:
        self._client, self._namespace = client, namespace
        self._seen = _Seen()
        self._shapes: dict[str, Shape] = {}
        self._told: set[str] = set()
        self._owners: dict[str, str] = {}
        self._hub = Hub(client, namespace, backlog)
        self._use({kind.name: kind for kind in kinds})

    def close(self) -> None:
        """End what runs in the background, and close the connections."""
        self._hub.close()
        self._client.close()

    def learn_kinds(self, kinds: Kinds) -> None:
        """Take the kinds that there are: those that APIs serve are custom resources. Raises ``KumaError``."""
        served = kube_kinds(kinds)
        self._use({kind.name: kind for kind in served} | dict.fromkeys(_hidden(kinds)))
        self._owners = {kind.name: kind.owner for kind in kinds if kind.owner}

    def _use(self, kinds: Mapping[str, KubeKind | None]) -> None:
        for name, kind in kinds.items():
            self._shapes[name] = shape_of(name, self._namespace, kind)
        self._hub.follow(self._shapes)

    def leave_untold(self, types: Collection[str]) -> None:
        """Watch nothing of these types: proxies write thousands of their insights."""
        self._hub.leave_out(types)

    def get(self, key: ResourceKey) -> Record:
        """The record of that key."""
        return self._shape(key.type).record(self._find(key))

    def list(self, type: str, mesh: str | None = None) -> list[Record]:
        """All records of a type, sorted by mesh and name. One that cannot be read is left out and told of once."""
        found = []
        for item in self._items(self._shape(type)):
            record = self._read(type, item)
            if record and (mesh is None or record.key.mesh == mesh):
                found.append(record)
        return sorted(found, key=lambda record: record.key)

    def create(self, key: ResourceKey, document: str) -> Record:
        """Store a new record. Raises ``InvalidResource`` for what Kubernetes cannot hold."""
        shape = self._shape(key.type)
        with self._writing(key):
            try:
                item = self._owned(key, shape.made(key, document))
                made = self._client.create(shape.folder(key), item)
            except ApiRefusal as error:
                if error.code == 409 and error.reason == "AlreadyExists":
                    self._refuse_other_mesh(key)
                    raise AlreadyExists(f"Resource already exists: {key}") from None
                raise
        return self._written(shape, made)

    def _owned(self, key: ResourceKey, item: Json) -> Json:
        """An object of a kind that goes with one of another kind: the garbage collector sees to that, too.

        Not where the other one has another namespace: there the collector finds no owner, and takes the object away.
        """
        owner = self._owners.get(key.type, "")
        if not owner:
            return item
        try:
            found = self._client.get(self._shape(owner).path(ResourceKey(owner, key.mesh, key.name)))
        except ApiRefusal as error:
            if error.code != 404:
                raise
            return item
        meta = found["metadata"]
        namespace = meta.get("namespace")
        if namespace and f"/namespaces/{namespace}/" not in self._shape(key.type).folder(key):
            return item
        reference = {"apiVersion": API_VERSION, "kind": owner, "name": meta["name"], "uid": meta["uid"]}
        return {**item, "metadata": {**item["metadata"], "ownerReferences": [reference]}}

    def update(self, key: ResourceKey, document: str, version: str) -> Record:
        """Replace a record of a known version. Raises ``InvalidResource`` for what Kubernetes cannot hold."""
        shape = self._shape(key.type)
        with self._writing(key):
            try:
                item = self._seen.find(key, version) or self._find(key)
                if item["metadata"]["resourceVersion"] != version:
                    raise Conflict(f"Resource conflict: {key}")
                made = self._client.replace(shape.path(key), shape.changed(item, key, document))
            except ApiRefusal as error:
                if error.is_conflict or (error.code == 404 and not error.has_no_kind):
                    raise Conflict(f"Resource conflict: {key}") from None
                raise
            except NotFound:
                raise Conflict(f"Resource conflict: {key}") from None
        return self._written(shape, made)

    def delete(self, key: ResourceKey) -> None:
        """Remove a record, which has to be in the mesh of the key."""
        item = self._find(key)
        with self._writing(key):
            try:
                self._client.delete(self._shape(key.type).path(key), item["metadata"]["uid"])
            except ApiRefusal as error:
                if error.code == 404 or error.is_conflict:  # gone, or another one by now
                    raise not_found(key) from None
                raise

    def tell(self, key: ResourceKey) -> None:
        """Tell all control planes of a write of a record whose type is left untold."""
        self._hub.tell(key)

    def counter(self) -> str:
        """A word that changes when the watch hears of a write; empty while it does not run well."""
        return self._hub.word()

    def watch(self, publish: Publish, stop: Stop) -> None:
        """Publish changes until ``stop`` is set. Raises ``StoreUnavailable`` if the API server is lost."""
        self._hub.watch(publish, stop)

    # -- one object

    def _shape(self, type: str) -> Shape:
        found = self._shapes.get(type)
        if found is None:
            found = self._shapes[type] = shape_of(type, self._namespace, self._defined(type))
        return found

    def _defined(self, type: str) -> KubeKind | None:
        """A kind that no plugin brings now, if the cluster knows it still."""
        try:
            answer = self._client.get(f"/apis/{API_VERSION}")
        except ApiRefusal as error:
            if error.code == 404:
                return None
            raise
        found = (
            item for item in answer.get("resources") or () if item["kind"] == type and "/" not in item["name"]
        )
        return next((KubeKind(type, item["name"], item["namespaced"]) for item in found), None)

    def _find(self, key: ResourceKey) -> Json:
        """The object of a key; raises ``NotFound`` for one of another mesh, too."""
        shape = self._shape(key.type)
        try:
            item = self._client.get(shape.path(key))
        except NotForKubernetes:
            raise not_found(key) from None
        except ApiRefusal as error:
            if error.code == 404:
                raise not_found(key) from None
            raise
        record = self._readable(shape, item, key)
        if record.key != key:
            raise not_found(key)
        self._seen.note(record, item)
        return item

    def _readable(self, shape: Shape, item: Json, key: ResourceKey) -> Record:
        try:
            return shape.record(item)
        except KumaError as error:
            raise UnreadableResource(f"the stored resource {key} cannot be read: {error}", key) from None

    def _written(self, shape: Shape, item: Json) -> Record:
        record = shape.record(item)
        self._seen.note(record, item)
        self._hub.wrote(record.key.type, record.version)
        return record

    def _refuse_other_mesh(self, key: ResourceKey) -> None:
        """A name is there once in a namespace, whatever mesh an object belongs to."""
        shape = self._shape(key.type)
        record = self._readable(shape, self._client.get(shape.path(key)), key)
        if record.key.mesh != key.mesh:
            text = f'Kubernetes holds each name once, and this one belongs to the mesh "{record.key.mesh}"'
            raise InvalidResource([Violation("name", text)])

    @contextmanager
    def _writing(self, key: ResourceKey) -> Iterator[None]:
        """What the API server cannot hold, or its webhooks refuse, is the writer's to mend."""
        try:
            yield
        except NotForKubernetes as error:
            raise InvalidResource([Violation("name", str(error))]) from None
        except ApiRefusal as error:
            if error.has_no_kind and isinstance(shape := self._shape(key.type), CustomShape):
                raise StoreUnavailable(_no_definition(shape.kind)) from None
            if error.violations:
                raise InvalidResource(error.violations) from None
            raise

    # -- many objects

    def _items(self, shape: Shape) -> Iterator[Json]:
        """All objects of a type, page by page; none if nobody defined the type."""
        parameters = {**shape.selection, "limit": PAGE}
        while True:
            try:
                answer = self._client.get(shape.collection, **parameters)
            except ApiRefusal as error:
                if error.has_no_kind and isinstance(shape, CustomShape):
                    self._tell_once(_no_definition(shape.kind))
                    return
                raise
            yield from answer.get("items") or ()
            token = answer["metadata"].get("continue")
            if not token:
                return
            parameters["continue"] = token

    def _read(self, type: str, item: Json) -> Record | None:
        try:
            return self._shape(type).record(item)
        except KumaError as error:
            self._tell_once(str(error))
            return None

    def _tell_once(self, problem: str) -> None:
        if problem not in self._told and len(self._told) < REMEMBERED:
            self._told.add(problem)
            _log.warning("objects of Kubernetes are left out", problem=problem)


def _hidden(kinds: Kinds) -> Iterator[str]:
    """The kinds that are stored, and that no API serves."""
    return (kind.name for kind in kinds if kind.stored and not kind.served)


def _no_definition(kind: KubeKind) -> str:
    return (
        f"there is no custom resource definition {kind.crd_name}: install it with "
        "`kumactl install crds | kubectl apply --server-side -f -`"
    )


class _Seen:
    """The last states of objects that we saw, the newest ones. Safe for use from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._items: OrderedDict[ResourceKey, Json] = OrderedDict()

    def note(self, record: Record, item: Json) -> None:
        """Remember an object."""
        with self._guard:
            self._items[record.key] = item
            self._items.move_to_end(record.key)
            if len(self._items) > REMEMBERED:
                self._items.popitem(last=False)

    def find(self, key: ResourceKey, version: str) -> Json | None:
        """The object of that version, if we remember it."""
        with self._guard:
            item = self._items.get(key)
        return item if item and item["metadata"]["resourceVersion"] == version else None
