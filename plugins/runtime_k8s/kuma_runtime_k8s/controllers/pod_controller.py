"""Pods and Services become Dataplanes: the part of the leader that keeps them as they have to be.

It looks at a Pod when the Pod, a Service that selects it, its Dataplane, or what its mesh offers changes. What a mesh
offers is counted, so that a Dataplane more costs no look at all others unless it brings a service that was not there.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from kuma_core.sdk import Presence, Stop, StoreUnavailable
from kuma_runtime_k8s.contract import KubeApi, code_of
from kuma_runtime_k8s.controllers import dataplanes
from kuma_runtime_k8s.controllers.annotations import DEFAULT_MESH, mesh_of, metadata
from kuma_runtime_k8s.controllers.dataplanes import NoDataplane
from kuma_runtime_k8s.controllers.events import PodEvents
from kuma_runtime_k8s.controllers.known import Known
from kuma_runtime_k8s.controllers.mesh_services import MeshServices
from kuma_runtime_k8s.controllers.serving import Serving
from kuma_runtime_k8s.controllers.work import Work, ended
from kuma_runtime_k8s.pods import Place, Pods

_log = structlog.get_logger("kubernetes-controllers")

SERVICES = "/api/v1/services"
DATAPLANES = "/apis/kuma.io/v1alpha1/dataplanes"

WORKERS = 4
PATIENCE = 5.0
"""Seconds that a Pod may be without a Service before it is told: both come together, in any order."""
AFTER_REFUSAL = 60.0
"""Seconds after which a Dataplane that was refused is tried again, if nothing changes before."""
MESH_GATHER = 0.3
"""Seconds in which services that come and go are one change: each is a write to every Dataplane of a mesh."""
WAIT_STEP = 0.5

Key = tuple[str, ...]
"""``("pod", namespace, name)`` or ``("mesh", name)``."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a Dataplane: ``state`` tells two of its contents apart."""

    mesh: str
    offered: frozenset[str]
    state: str


def kept(item: Mapping[str, Any]) -> Kept:
    """What we need to know of a Dataplane."""
    mesh, spec = item.get("mesh"), item.get("spec")
    owners = metadata(item).get("ownerReferences") or ()
    text = json.dumps([mesh, spec, owners], sort_keys=True)
    offered = dataplanes.offered(spec) if isinstance(spec, Mapping) else set()
    return Kept(str(mesh or DEFAULT_MESH), frozenset(offered), hashlib.sha256(text.encode()).hexdigest())


def kept_service(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """What we need to know of a Service."""
    spec, meta = item.get("spec") or {}, metadata(item)
    names = ("selector", "type", "ports", "clusterIP", "clusterIPs")
    return {
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "spec": {name: spec[name] for name in names if name in spec},
    }


class PodController:
    """The component."""

    name = "kubernetes-dataplanes"
    leader_only = True

    def __init__(self, api: KubeApi, pods: Pods, instance: str, presence: Presence) -> None:
        self._api, self._pods, self._instance, self._presence = api, pods, instance, presence

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set; what was known is forgotten then."""
        Term(self._api, self._pods, self._instance, self._presence).run(stop)


class Term:
    """What the controller knows while this control plane leads."""

    def __init__(self, api: KubeApi, pods: Pods, instance: str, presence: Presence) -> None:
        self._api, self._pods = api, pods
        self._serving = Serving(presence)
        self._work: Work[Key] = Work(self._look)
        self._services: Known[Mapping[str, Any]] = Known(kept_service, self._service_changed)
        self._dataplanes: Known[Kept] = Known(kept, self._dataplane_changed)
        self._offers = MeshServices(self._address)
        self._events = PodEvents(api, instance)
        self._since: dict[Place, float] = {}

    def run(self, stop: Stop) -> None:
        """Follow the collections, and work when all is known that counts."""
        inner = Stop()
        followed = ((SERVICES, self._services), (DATAPLANES, self._dataplanes))
        threads = [
            threading.Thread(target=self._api.follow, args=(path, {}, known, inner), daemon=True)
            for path, known in followed
        ]
        end = self._pods.on_change(self._pod_changed)
        try:
            for thread in threads:
                thread.start()
            if self._wait_until_all_is_known(stop):
                self._pod_changed(None)
                threads += self._start_workers(inner)
                stop.wait()
        finally:
            end()
            inner.set()
            ended(threads)

    def _wait_until_all_is_known(self, stop: Stop) -> bool:
        """A Dataplane that is made before others are known would lack outbounds."""
        waits = (self._services.settled_once, self._dataplanes.settled_once, self._pods.settled_once)
        for event in waits:
            while not event.wait(WAIT_STEP):
                if stop.is_set():
                    return False
        return not stop.is_set()

    def _start_workers(self, stop: Stop) -> list[threading.Thread]:
        workers = [
            threading.Thread(target=self._work.run, args=(stop,), name=f"dataplanes-{number}", daemon=True)
            for number in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        return workers

    # -- what changes, from the threads that follow collections

    def _pod_changed(self, place: Place | None) -> None:
        self._add_pods(self._pods.all() if place is None else [place])

    def _add_pods(self, places: list[Place]) -> None:
        self._work.add(("pod", *place) for place in places)

    def _service_changed(
        self, place: Place, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None
    ) -> None:
        versions = [service for service in (before, now) if service]
        touched = [
            place_
            for place_ in self._pods.all()
            if place_[0] == place[0] and self._is_selected(place_, versions)
        ]
        self._add_pods(touched)
        old, new = (dataplanes.service_address(item) if item else "" for item in (before, now))
        if old != new:
            self._work.add((("mesh", mesh) for mesh in self._offers.meshes()), MESH_GATHER)

    def _is_selected(self, place: Place, services: list[Mapping[str, Any]]) -> bool:
        pod = self._pods.get(place)
        return bool(pod) and any(dataplanes.selects(service, pod) for service in services if pod)

    def _dataplane_changed(self, place: Place, before: Kept | None, now: Kept | None) -> None:
        entries = ((item.mesh, item.offered) if item else None for item in (before, now))
        self._work.add((("mesh", mesh) for mesh in self._offers.moved(*entries)), MESH_GATHER)
        if before is None or now is None or before.mesh != now.mesh:
            self._serving.forget(place)
        self._add_pods([place])

    # -- what is to be, from the workers

    def _look(self, key: Key) -> float | None:
        if key[0] == "mesh":
            self._look_at_mesh(key[1])
            return None
        return self._look_at_pod((key[1], key[2]))

    def _look_at_mesh(self, mesh: str) -> None:
        if self._offers.renew(mesh):
            pods = ((place, self._pods.get(place)) for place in self._pods.all())
            self._add_pods([place for place, pod in pods if pod and mesh_of(pod) == mesh])

    def _look_at_pod(self, place: Place) -> float | None:
        pod = self._pods.get(place)
        if pod is None:
            self._since.pop(place, None)
            self._serving.forget(place)
            return None
        again = self._look_at_dataplane(place, pod)
        if self._dataplanes.get(place) is None:
            return again
        return self._serving.tell(place, pod) or again

    def _look_at_dataplane(self, place: Place, pod: Mapping[str, Any]) -> float | None:
        services = [item for (namespace, _), item in self._services.items() if namespace == place[0]]
        wanted = dataplanes.dataplane(pod, services, self._offers.outbounds(mesh_of(pod)))
        if isinstance(wanted, NoDataplane):
            return self._without(pod, place, wanted)
        self._since.pop(place, None)
        there = self._dataplanes.get(place)
        if there is None or there != kept(wanted):
            return self._write(pod, place, wanted)
        return None

    def _without(self, pod: Mapping[str, Any], place: Place, why: NoDataplane) -> float | None:
        """A Dataplane that is there stays, but for that of a Pod which ended: another Pod may have its address."""
        if why.reason == "Ended" and self._dataplanes.get(place):
            self._delete(pod, place)
        if not why.is_told:
            self._since.pop(place, None)
            return None
        waited = time.monotonic() - self._since.setdefault(place, time.monotonic())
        if waited < PATIENCE:
            return PATIENCE - waited
        _log.info("a Pod has no Dataplane", pod="/".join(place), why=why.message)
        self._events.tell(pod, why.reason, why.message)
        return None

    def _delete(self, pod: Mapping[str, Any], place: Place) -> None:
        try:
            if dataplanes.is_owned_by(self._api.ask("GET", _path(place)), pod):
                self._api.ask("DELETE", _path(place))
        except StoreUnavailable as error:
            if code_of(error) != 404:
                raise

    def _write(self, pod: Mapping[str, Any], place: Place, wanted: dict[str, Any]) -> float | None:
        try:
            written = self._create_or_update(pod, place, wanted)
        except StoreUnavailable as error:
            if code_of(error) not in (400, 403, 422):
                raise
            _log.warning("a Dataplane is refused", pod="/".join(place), problem=str(error))
            self._events.tell(pod, "DataplaneRefused", str(error))
            return AFTER_REFUSAL
        if written is None:
            said = "a Dataplane of the Pod's name belongs to somebody else, and is left alone"
            self._events.tell(pod, "ForeignDataplane", said)
            return AFTER_REFUSAL
        self._dataplanes.put(written)
        self._events.forget(pod)
        return None

    def _create_or_update(
        self, pod: Mapping[str, Any], place: Place, wanted: dict[str, Any]
    ) -> Mapping[str, Any] | None:
        """The object as it is then; ``None`` if it is another controller's. Raises ``StoreUnavailable``."""
        if self._dataplanes.get(place) is None:
            return self._api.ask("POST", _path(place).rpartition("/")[0], body=wanted)
        present = self._api.ask("GET", _path(place))
        if not dataplanes.is_owned_by(present, pod):
            return None
        changed = dataplanes.brought_up_to_date(present, wanted)
        return self._api.ask("PUT", _path(place), body=changed) if changed else present

    def _address(self, name: str, namespace: str) -> str:
        service = self._services.get((namespace, name))
        return dataplanes.service_address(service) if service else ""


def _path(place: Place) -> str:
    return f"/apis/kuma.io/v1alpha1/namespaces/{place[0]}/dataplanes/{place[1]}"
