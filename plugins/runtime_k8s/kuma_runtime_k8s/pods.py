"""The Pods with a proxy, as far as we need them, kept up to date on every control plane.

Identities look at uids, and the controllers at the rest. Of each Pod only what is read here is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from kuma_core.sdk import Stop, StoreUnavailable
from kuma_runtime_k8s.contract import KubeApi
from kuma_runtime_k8s.controllers.annotations import is_injected, may_have_sidecar, metadata

PATH = "/api/v1/pods"

Place = tuple[str, str]
"""The namespace and the name of an object."""


def place_of(item: Mapping[str, Any]) -> Place:
    """Where an object is."""
    meta = metadata(item)
    return str(meta.get("namespace") or ""), str(meta.get("name") or "")


class Pods:
    """Receives what is told of Pods. Safe for use from several threads.

    Listeners are called with the place of a Pod that came, changed or went, or with ``None`` when any may have.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._pods: dict[Place, Mapping[str, Any]] = {}
        self._bare: dict[Place, Mapping[str, Any]] = {}
        self._listeners: list[Callable[[Place | None], None]] = []
        self._bare_listeners: list[Callable[[], None]] = []
        self.settled_once = threading.Event()

    @property
    def is_settled(self) -> bool:
        """Whether all Pods are known that there are."""
        return self.settled_once.is_set()

    def get(self, place: Place) -> Mapping[str, Any] | None:
        """A Pod with a proxy; ``None`` if there is none of that name."""
        return self._pods.get(place)

    def all(self) -> list[Place]:
        """Where all of them are."""
        with self._guard:
            return list(self._pods)

    def uid(self, place: Place) -> str:
        """The uid of a Pod; empty if there is none of that name."""
        pod = self._pods.get(place)
        return str(metadata(pod).get("uid") or "") if pod else ""

    def bare(self, namespace: str) -> list[Mapping[str, Any]]:
        """The Pods of a namespace that could have a proxy and have none; of each only its name and uid."""
        with self._guard:
            return [pod for place, pod in self._bare.items() if place[0] == namespace]

    def on_change(self, listener: Callable[[Place | None], None]) -> Callable[[], None]:
        """Have a function hear of changes; what is returned ends that."""
        with self._guard:
            self._listeners.append(listener)

        def end() -> None:
            with self._guard:
                self._listeners.remove(listener)

        return end

    def on_bare(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function hear that there is another Pod without a proxy; what is returned ends that."""
        self._bare_listeners.append(listener)
        return lambda: self._bare_listeners.remove(listener)

    # -- from the thread that follows the collection

    def replaced(self, items: Mapping[str, Any]) -> None:
        """All that is there now."""
        found = {place_of(item): _kept(item) for item in items.values() if is_injected(item)}
        bare = {place_of(item): _named(item) for item in items.values() if may_have_sidecar(item)}
        with self._guard:
            self._pods, self._bare = found, bare
        self._tell(None)
        self._tell_bare()

    def put(self, item: Any) -> None:
        """A Pod came or changed."""
        if not is_injected(item):
            self._put_bare(item)
            return
        place, kept = place_of(item), _kept(item)
        if self._pods.get(place) != kept:
            with self._guard:
                self._pods[place] = kept
            self._tell(place)

    def _put_bare(self, item: Any) -> None:
        if not may_have_sidecar(item):
            self.deleted(item)
            return
        place, named = place_of(item), _named(item)
        if self._bare.get(place) == named:
            return
        with self._guard:
            known = self._pods.pop(place, None)
            self._bare[place] = named
        if known is not None:
            self._tell(place)
        self._tell_bare()

    def _tell_bare(self) -> None:
        for listener in list(self._bare_listeners):
            listener()

    def deleted(self, item: Any) -> None:
        """A Pod is gone."""
        place = place_of(item)
        with self._guard:
            known = self._pods.pop(place, None)
            self._bare.pop(place, None)
        if known is not None:
            self._tell(place)

    def settled(self) -> None:
        """All that was there is told."""
        self.settled_once.set()

    def troubled(self, problem: StoreUnavailable) -> None:
        """What is known goes on to count."""

    def _tell(self, place: Place | None) -> None:
        with self._guard:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(place)


def _named(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = metadata(pod)
    return {"metadata": {name: meta[name] for name in ("namespace", "name", "uid") if name in meta}}


def _kept(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    meta, status = metadata(pod), pod.get("status") or {}
    containers = (pod.get("spec") or {}).get("containers") or ()
    return {
        "metadata": {
            name: meta[name]
            for name in ("namespace", "name", "uid", "labels", "annotations", "deletionTimestamp")
            if name in meta
        },
        "spec": {"containers": [{"ports": item["ports"]} for item in containers if item.get("ports")]},
        "status": {
            **{name: status[name] for name in ("podIP", "podIPs", "phase") if name in status},
            "conditions": [
                {"type": "Ready", "status": one.get("status")}  # and not when it was looked at last
                for one in status.get("conditions") or ()
                if one.get("type") == "Ready"
            ],
        },
    }


class FollowedPods:
    """The component that follows them, on every control plane."""

    name = "kubernetes-pods"
    leader_only = False

    def __init__(self, api: KubeApi, pods: Pods) -> None:
        self._api, self._pods = api, pods

    def run(self, stop: Stop) -> None:
        """Follow the Pods of the cluster until ``stop`` is set."""
        self._api.follow(PATH, {}, self._pods, stop)
