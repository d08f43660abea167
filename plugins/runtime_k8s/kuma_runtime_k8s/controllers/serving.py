"""Whether others call a Pod: while it is ready, and no more once it is deleted. The Pod says so, and not its proxy.

The leader tells both. Where it is late, every control plane does: a leader that was killed has no successor for some
seconds, in which a rolling update goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
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
"""Seconds in which the leader, if there is one, has told of a Pod."""

State = tuple[str, str, bool]
"""The uid of a Pod, its mesh, and whether others call it."""


def is_deleted(pod: Mapping[str, Any]) -> bool:
    """Whether somebody deleted a Pod, whose containers may go on for a while."""
    return "deletionTimestamp" in metadata(pod)


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether all its containers are, the sidecar among them."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def state_of(pod: Mapping[str, Any]) -> State:
    """What is to be told of a Pod."""
    return str(metadata(pod).get("uid")), mesh_of(pod), is_ready(pod) and not is_deleted(pod)


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
        _, mesh, serves = state = state_of(pod)
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


class Deputy:
    """The component of every control plane: tells where the leader does not, that Pods are ready and that they are
    deleted. In a rolling update one follows from the other, so that either both are told or none."""

    name = "kubernetes-serving"
    leader_only = False

    def __init__(self, api: KubeApi, pods: Pods, presence: Presence) -> None:
        self._api, self._pods, self._presence = api, pods, presence
        self._work: Work[Place] = Work(self._look)
        self._seen: dict[Place, State] = {}

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set."""
        inner = Stop()
        end = self._pods.on_change(self._changed)
        worker = threading.Thread(
            target=self._work.run, args=(inner,), name="kubernetes-serving-worker", daemon=True
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
        for at in self._pods.all() if place is None else [place]:
            pod = self._pods.get(at)
            if pod is None or not (is_ready(pod) or is_deleted(pod)):
                self._seen.pop(at, None)
            elif self._seen.get(at) != state_of(pod):
                self._seen[at] = state_of(pod)
                self._work.add([at], LEADERS_TURN + (AFTER_OTHERS if is_deleted(pod) else 0.0))

    def _look(self, place: Place) -> float | None:
        """The Pod is asked for once more: another one of its name may be there by now."""
        pod = self._pods.get(place)
        if pod is None or not self._is_news(place, pod):
            return None
        try:
            now = self._api.ask("GET", f"/api/v1/namespaces/{place[0]}/pods/{place[1]}")
        except StoreUnavailable as error:
            if code_of(error) == 404:
                return None
            raise
        if state_of(now) == state_of(pod):
            with suppress(NotFound):
                self._presence.set_serving(mesh_of(pod), name_of(place), state_of(pod)[2])
        return None

    def _is_news(self, place: Place, pod: Mapping[str, Any]) -> bool:
        """Whether others call a Pod that is deleted, or do not call one that is ready."""
        if not (is_ready(pod) or is_deleted(pod)):
            return False
        return bool(self._presence.serving(mesh_of(pod), name_of(place))) is not state_of(pod)[2]
