"""Meshes: there is always the mesh ``default``, each has a root, and one that goes takes its policies along.

kubectl writes meshes past the rules of the control plane that make such things, so the leader follows what there is.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog

from kuma_core.sdk import (
    Authorities,
    ConfigError,
    Context,
    MeshSpec,
    NotFound,
    Resource,
    ResourceKey,
    Stop,
    StoreUnavailable,
    load_documents,
    parse_spec,
)
from kuma_runtime_k8s.contract import KubeApi, code_of
from kuma_runtime_k8s.controllers.annotations import DEFAULT_MESH, metadata
from kuma_runtime_k8s.controllers.known import Known
from kuma_runtime_k8s.controllers.work import Work, ended
from kuma_runtime_k8s.objects import GROUP, VERSION
from kuma_runtime_k8s.pods import Place

_log = structlog.get_logger("kubernetes-controllers")

MESH = "Mesh"
MESHES = "/apis/kuma.io/v1alpha1/meshes"
OF_PODS = ("Dataplane", "DataplaneInsight")
"""Kinds whose objects go with their Pods, and not with the mesh."""
BUILTIN = "builtin"
WAIT_STEP = 0.5


class MeshController:
    """The component of the leader."""

    name = "kubernetes-meshes"
    leader_only = True

    def __init__(self, api: KubeApi, context: Context) -> None:
        self._api, self._context = api, context
        self._authorities = context.ask("authorities", Authorities)
        self._known: Known[Mapping[str, Any]] = Known(_kept, lambda place, before, now: None)
        self._gone: set[str] = set()
        """Meshes that went while we looked. What is of a mesh that is not there yet is not touched: it may come."""
        self._secrets = (
            f"/api/v1/namespaces/{context.config.text('store.kubernetes.systemNamespace')}/secrets"
        )

    def run(self, stop: Stop) -> None:
        """Follow the meshes until ``stop`` is set."""
        work: Work[str] = Work(self._look)
        self._gone.clear()

        def changed(place: Place, before: object, now: object) -> None:
            if before is not None and now is None:
                self._gone.add(place[1])
            work.add([place[1]])

        self._known = Known(_kept, changed)
        inner = Stop()
        thread = threading.Thread(target=self._api.follow, args=(MESHES, {}, self._known, inner), daemon=True)
        thread.start()
        try:
            while not self._known.settled_once.wait(WAIT_STEP):
                if stop.is_set():
                    return
            work.add([DEFAULT_MESH])
            work.run(stop)
        finally:
            inner.set()
            ended([thread])

    def _look(self, mesh: str) -> None:
        item = self._known.get(("", mesh))
        if item is not None:
            self._gone.discard(mesh)
            self._look_after(mesh, item)
            return
        if mesh in self._gone:
            self._sweep(mesh)
            self._gone.discard(mesh)
        if mesh == DEFAULT_MESH:
            self._make_default()

    # -- a mesh that is there

    def _look_after(self, mesh: str, item: Mapping[str, Any]) -> None:
        spec, _ = parse_spec(MeshSpec, item["spec"])
        authority = self._authorities.of(spec)
        if authority is not None:
            provider = authority.provider
            authority.call("ensure", lambda: provider.ensure(mesh))
        if spec.authority() == BUILTIN and authority is not None:
            self._own(mesh, item)

    def _own(self, mesh: str, item: Mapping[str, Any]) -> None:
        """The Secret of the authority goes with its mesh: the garbage collector sees to that."""
        path = f"{self._secrets}/builtinca.{mesh}"
        try:
            secret = self._api.ask("GET", path)
        except StoreUnavailable as error:
            if code_of(error) != 404:
                raise
            return  # it is kept in another store
        owner = _owner(mesh, str(item["uid"]))
        if (metadata(secret).get("ownerReferences") or []) != [owner]:
            version = metadata(secret).get("resourceVersion")
            meta = {"ownerReferences": [owner], "resourceVersion": version}
            self._api.ask("PATCH", path, body={"metadata": meta}, type="application/merge-patch+json")

    # -- a mesh that is not there

    def _sweep(self, mesh: str) -> None:
        """Delete what belongs to a mesh that is gone, until somebody makes it again."""
        resources, removed = self._context.resources, 0
        for key in list(resources.owned_by_mesh(mesh)):
            if self._known.get(("", mesh)) is not None:
                return
            if key.type not in OF_PODS:
                with suppress(NotFound):
                    resources.delete(key)
                    removed += 1
        if removed:
            _log.info("what belonged to a mesh is deleted with it", mesh=mesh, objects=removed)

    def _make_default(self) -> None:
        text = self._context.config.text("defaults.mesh")
        document: Any = next(iter(load_documents(text, "defaults.mesh")), {})
        if not isinstance(document, dict):
            raise ConfigError("defaults.mesh is not a YAML mapping")
        content = {
            key: value for key, value in document.items() if key.lower() not in ("type", "name", "mesh")
        }
        spec, _ = parse_spec(MeshSpec, content)
        key = ResourceKey(MESH, DEFAULT_MESH, DEFAULT_MESH)
        self._context.resources.ensure(Resource(key, spec))
        _log.info("the mesh default is made")


def _kept(item: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = item.get("spec")
    return {"uid": metadata(item).get("uid"), "spec": spec if isinstance(spec, Mapping) else {}}


def _owner(mesh: str, uid: str) -> dict[str, Any]:
    owner = {"apiVersion": f"{GROUP}/{VERSION}", "kind": MESH, "name": mesh, "uid": uid}
    return {**owner, "controller": True, "blockOwnerDeletion": True}
