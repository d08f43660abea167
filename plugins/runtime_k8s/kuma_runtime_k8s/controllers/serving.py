"""Whether others call a Pod: while it is ready, and no more once it is deleted. The Pod says so, and not its proxy.

The leader tells both. That a Pod is deleted every control plane tells that finds the leader late: containers wait for
it before they end, and a leader that was killed has no successor for some seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from kuma_core.sdk import NotFound, Presence, Stop, StoreUnavailable
from kuma_runtime_k8s.contract import KubeApi, code_of
from kuma_runtime_k8s.controllers.annotations import mesh_of, metadata
from kuma_runtime_k8s.controllers.work import Work, ended
from kuma_runtime_k8s.pods import Place, Pods

PRESENCE = "builtin.presence"
"""The plugin that offers a ``Presence``."""

NOT_THERE_YET = 0.2
"""Seconds until we look again for a Dataplane that was written and is not known yet."""
AFTER_OTHERS = 0.3
"""Seconds until we tell of a Pod that is deleted: the one that takes its place became ready just before, and is to be
called first."""
LEADERS_TURN = 1.0
"""Seconds in which the leader, if there is one, has told of a Pod that is deleted."""

State = tuple[str, str, bool]
"""The uid of a Pod, its mesh, and whether others call it."""


def is_deleted(pod: Mapping[str, Any]) -> bool:
    """Whether somebody deleted a Pod, whose containers may go on for a while."""
    return "deletionTimestamp" in metadata(pod)


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether all its containers are, the sidecar among them."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


class Serving:
    """Tells of Pods with a Dataplane, and remembers what it told. Safe for use from several threads."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._told: dict[Place, State] = {}
        self._deleted: dict[Place, float] = {}

    def forget(self, place: Place) -> None:
        """What was told went with its Dataplane, or may have."""
        self._told.pop(place, None)
        self._deleted.pop(place, None)

    def tell(self, place: Place, pod: Mapping[str, Any]) -> float | None:
        """Tell of a Pod if that is news; in how many seconds to call again, ``None`` for never.

        Of one that was never ready there is nothing to tell. Raises ``StoreUnavailable``.
        """
        mesh, serves = mesh_of(pod), is_ready(pod) and not is_deleted(pod)
        state = (str(metadata(pod).get("uid")), mesh, serves)
        if self._told.get(place) == state:
            return None
        if is_deleted(pod) and (wait := self._others_turn(place)) > 0:
            return wait
        try:
            if serves or self._presence.serving(mesh, name_of(place)):
                self._presence.set_serving(mesh, name_of(place), serves)
        except NotFound:
            return NOT_THERE_YET
        self._told[place] = state
        return None

    def _others_turn(self, place: Place) -> float:
        """In how many seconds it is the turn of a Pod that is deleted."""
        since = self._deleted.setdefault(place, time.monotonic())
        return since + AFTER_OTHERS - time.monotonic()


def name_of(place: Place) -> str:
    """The name of the Dataplane of a Pod."""
    namespace, name = place
    return f"{name}.{namespace}"


class DeletedPods:
    """The component of every control plane: tells that Pods are deleted, where the leader does not."""

    name = "kubernetes-deleted-pods"
    leader_only = False

    def __init__(self, api: KubeApi, pods: Pods, presence: Presence) -> None:
        self._api, self._pods, self._presence = api, pods, presence
        self._work: Work[Place] = Work(self._look)

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set."""
        inner = Stop()
        end = self._pods.on_change(self._changed)
        worker = threading.Thread(
            target=self._work.run, args=(inner,), name="kubernetes-deleted-pods-worker", daemon=True
        )
        try:
            worker.start()
            self._changed(None)
            stop.wait()
        finally:
            end()
            inner.set()
            ended([worker])

    def _changed(self, place: Place | None) -> None:
        places = self._pods.all() if place is None else [place]
        found = [(at, self._pods.get(at)) for at in places]
        self._work.add([at for at, pod in found if pod and is_deleted(pod)], LEADERS_TURN)

    def _look(self, place: Place) -> float | None:
        """The Pod is asked for once more: another one of its name may be there by now, and serve."""
        pod = self._pods.get(place)
        if pod is None or not self._presence.serving(mesh_of(pod), name_of(place)):
            return None
        try:
            now = self._api.ask("GET", f"/api/v1/namespaces/{place[0]}/pods/{place[1]}")
        except StoreUnavailable as error:
            if code_of(error) == 404:
                return None
            raise
        if is_deleted(now) and metadata(now).get("uid") == metadata(pod).get("uid"):
            try:
                self._presence.set_serving(mesh_of(pod), name_of(place), False)
            except NotFound:
                return None
        return None
