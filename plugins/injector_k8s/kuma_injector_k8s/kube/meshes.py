"""The meshes of the cluster, in memory: one watch, and a question for one that is not known yet."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Mapping
from typing import Any

from kuma_core.sdk import KumaError
from kuma_injector_k8s.kube.api import Api, ApiFailure
from kuma_injector_k8s.log import Log

PATH = "/apis/kuma.io/v1alpha1/meshes"

WATCH_SECONDS = 300
"""After so long the server is to end a watch; another follows."""
SILENCE_SECONDS = 100.0
"""Bookmarks come once a minute; after so long without one, nobody is there."""
SHORTEST_WATCH = 1.0
"""Whoever ends watches at once is not asked over and over."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)


class NoMesh(KumaError):
    """A mesh that is not there, or cannot be read; the message says which and why."""


class Meshes:
    """What is known of meshes. ``follow`` belongs to one thread, ``content`` to any."""

    def __init__(self, api: Api, log: Log) -> None:
        self._api, self._log = api, log
        self._known: dict[str, Mapping[str, Any]] = {}
        self._version = ""
        self._is_told = False
        self.is_settled = threading.Event()
        """Set when all that there are were read once."""

    def known(self, name: str) -> Mapping[str, Any] | None:
        """The content of a mesh that the watch told of."""
        return self._known.get(name)

    def asked(self, name: str) -> Mapping[str, Any]:
        """The content of a mesh, from the API server: one that was made a moment ago. Raises NoMesh."""
        if not _NAME.fullmatch(name):
            raise NoMesh(f'no Mesh of Kubernetes can be called "{name:.80}"')
        try:
            return _content(self._api.get(f"{PATH}/{name}"))
        except ApiFailure as error:
            advice = "; the Mesh has to be there first, or the annotation kuma.io/mesh another one"
            raise NoMesh(f"{error}{advice if error.code == 404 else ''}") from None

    def follow(self, stop: threading.Event) -> None:
        """Keep what is known up to date until ``stop`` is set."""
        pause = FIRST_PAUSE
        while not stop.is_set():
            try:
                if not self._version:
                    self._list()
                    pause = FIRST_PAUSE
                began = time.monotonic()
                self._watch(stop)
                if time.monotonic() - began < SHORTEST_WATCH:
                    stop.wait(SHORTEST_WATCH)
            except ApiFailure as error:
                self._troubled(error)
                if error.code != 410 or pause > FIRST_PAUSE:
                    stop.wait(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, LONGEST_PAUSE)

    def _troubled(self, error: ApiFailure) -> None:
        """What is known goes on to count; all is read anew, in case the storage is another one now."""
        self._version = ""
        if not self._is_told:
            self._log.warning("meshes cannot be watched; what is known goes on to count", problem=str(error))
        self._is_told = error.code != 410

    def _list(self) -> None:
        answer = self._api.get(PATH)
        try:
            found = {item["metadata"]["name"]: _content(item) for item in answer["items"] or ()}
            version = str(answer["metadata"]["resourceVersion"])
        except (KeyError, TypeError) as error:
            raise ApiFailure(f"{self._api.where} sent a list that cannot be read: {error!r}") from error
        self._known, self._version = found, version
        if self._is_told or not self.is_settled.is_set():
            self._log.info("meshes are watched", meshes=len(found))
        self._is_told = False
        self.is_settled.set()

    def _watch(self, stop: threading.Event) -> None:
        parameters = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": self._version}
        parameters["timeoutSeconds"] = str(WATCH_SECONDS)
        with self._api.watch(PATH, parameters, SILENCE_SECONDS) as events:
            for event in events:
                if stop.is_set():
                    return
                self._take(event)

    def _take(self, event: Mapping[str, Any]) -> None:
        try:
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                raise ApiFailure(str(item.get("message")), int(item.get("code") or 500))
            name = item["metadata"].get("name", "")
            if kind == "DELETED":
                self._known.pop(name, None)
            elif kind in ("ADDED", "MODIFIED"):
                self._known[name] = _content(item)
            self._version = str(item["metadata"]["resourceVersion"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ApiFailure(f"{self._api.where} sent an event that cannot be read: {error!r}") from error


def _content(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found = item.get("spec")
    return found if isinstance(found, Mapping) else {}
