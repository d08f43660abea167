"""What is in one collection of the API, kept up to date: list, then watch, again and again.

The rules of the field: a watch begins at the version of the list and goes on from the last version that it told; when
that version is no longer known (410) the list is read again and what changed meanwhile is told, deletions too; whatever
else happens is waited out and the watch resumed. An answer that is silent for too long is dead, for bookmarks come once
a minute. No client for Python does all of that: lightkube tells no deletions after a 410 and ends with the API server,
kr8s asks on without a pause.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import structlog

from kuma_core.sdk import Stop, StoreUnavailable
from kuma_store_k8s.answers import ApiRefusal, Unreachable, of_status
from kuma_store_k8s.client import ApiClient, Json, Lines

_log = structlog.get_logger("store-kubernetes")

PAGE = "500"
WATCH_SECONDS = 300
"""For how long the server is asked to answer; then we ask again, from where it ended."""
SILENCE_SECONDS = 100.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0
CALM_SECONDS = 5.0
"""A watch that lasted so long was a good one: the next pause is short again."""
STREAMED = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "resourceVersion": "",
}
"""Has a server of 1.34 or later stream the list, so that neither side has it in memory as a whole."""
INITIAL_END = "k8s.io/initial-events-end"


class Receiver(Protocol):
    """Who is told; always from the reflector's thread."""

    def replaced(self, items: Mapping[str, Json]) -> None:
        """All that is there now, by namespace and name."""
        ...

    def put(self, item: Json) -> None:
        """An object was created or changed."""
        ...

    def deleted(self, item: Json) -> None:
        """An object is gone; this is its last state."""
        ...

    def settled(self) -> None:
        """All that was there is told, and the watch is open."""
        ...

    def troubled(self, problem: StoreUnavailable) -> None:
        """It cannot be read at the moment."""
        ...


def place(item: Mapping[str, Any]) -> str:
    """Where an object is in its collection."""
    meta = item["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


class Reflector:
    """Follows one collection. ``run`` is for one thread; the others are for any."""

    def __init__(
        self, client: ApiClient, path: str, selection: Mapping[str, str], receiver: Receiver
    ) -> None:
        self._client, self._path, self._selection, self._receiver = client, path, dict(selection), receiver
        self._wake = Stop()
        self._pause = FIRST_PAUSE
        self._streams = True
        self._version = ""
        self._is_shaken = False

    def hurry(self) -> None:
        """Try again now, if it pauses."""
        self._wake.set()

    def run(self, stop: Stop) -> None:
        """Follow the collection until ``stop`` is set."""
        with stop.calling(self.hurry):
            while not stop.is_set():
                began = time.monotonic()
                wanted = self._turn(stop)
                if time.monotonic() - began > CALM_SECONDS:
                    self._pause = FIRST_PAUSE
                if not stop.is_set():
                    self._rest(wanted)

    def _turn(self, stop: Stop) -> float:
        """Read the list if we have none, and watch until something ends it; how many seconds the server wants."""
        try:
            if self._is_shaken:
                self._look_whether_history_is_another()
            if not self._version and not self._streams:
                self._list()
            self._watch(stop)
        except ApiRefusal as error:
            if error.is_gone and self._version:
                self._version = ""
                return 0.0
            if self._streams and not self._version and error.code in (400, 422):
                self._streams = (
                    False  # an older server knows no such list; whatever else is wrong, the next one tells
                )
                return 0.0
            return self._trouble(error, error.wait)
        except StoreUnavailable as error:
            if not stop.is_set():  # else it is we who ended it
                return self._trouble(error)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return self._trouble(Unreachable(f"{self._client.where} sent what cannot be read: {error!r}"))
        return 0.0

    def _trouble(self, error: StoreUnavailable, wait: float = 0.0) -> float:
        _log.debug("the watch of a collection ended", collection=self._path, problem=str(error))
        self._receiver.troubled(error)
        self._is_shaken = True
        return wait

    def _look_whether_history_is_another(self) -> None:
        """Forget our version if it is of the future: the storage was emptied, or is that of an earlier day.

        A watch from there would be silent until the storage has come as far again.
        """
        if self._version:
            answer = self._client.get(self._path, **self._selection, limit="1")
            if int(answer["metadata"]["resourceVersion"]) < int(self._version):
                self._version = ""
        self._is_shaken = False

    def _rest(self, wanted: float) -> None:
        """Pause, longer each time, and with a part of chance, so that not all come back at the same moment."""
        self._wake.wait(max(wanted, self._pause * random.uniform(0.5, 1.0)))
        self._wake.clear()
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _list(self) -> None:
        found: dict[str, Json] = {}
        parameters = {**self._selection, "limit": PAGE}
        while True:
            answer = self._client.get(self._path, **parameters)
            found |= {place(item): item for item in answer.get("items") or ()}
            meta = answer["metadata"]
            if not meta.get("continue"):
                break
            parameters["continue"] = meta["continue"]
        self._receiver.replaced(found)
        self._version = str(meta["resourceVersion"])

    def _watch(self, stop: Stop) -> None:
        parameters = {**self._selection, "watch": "1", "allowWatchBookmarks": "true"}
        parameters["timeoutSeconds"] = str(WATCH_SECONDS)
        parameters |= {"resourceVersion": self._version} if self._version else STREAMED
        with self._client.lines(self._path, parameters, SILENCE_SECONDS) as lines, stop.calling(lines.end):
            events = self._events(lines, stop)
            if not self._version:
                self._fill(events)
            if self._version and not stop.is_set():
                self._receiver.settled()
                self._follow(events)

    def _events(self, lines: Lines, stop: Stop) -> Iterator[tuple[str, Json]]:
        deadline = time.monotonic() + WATCH_SECONDS + SILENCE_SECONDS
        for line in lines:
            if stop.is_set() or time.monotonic() > deadline:
                return
            event = json.loads(line)
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                raise of_status(item, 500, line, self._client.where)
            yield kind, item

    def _fill(self, events: Iterator[tuple[str, Json]]) -> None:
        """Take the list that the server streams; an answer that ends in the middle of it counts for nothing."""
        found: dict[str, Json] = {}
        for kind, item in events:
            if kind == "DELETED":
                found.pop(place(item), None)
            elif kind != "BOOKMARK":
                found[place(item)] = item
            elif INITIAL_END in (item["metadata"].get("annotations") or ()):
                self._receiver.replaced(found)
                self._version = str(item["metadata"]["resourceVersion"])
                return
        raise Unreachable(f"{self._client.where} ended a list in the middle")

    def _follow(self, events: Iterator[tuple[str, Json]]) -> None:
        for kind, item in events:
            if kind == "DELETED":
                self._receiver.deleted(item)
            elif kind in ("ADDED", "MODIFIED"):
                self._receiver.put(item)
            self._version = str(item["metadata"]["resourceVersion"])  # of a bookmark, too
            self._pause = FIRST_PAUSE
