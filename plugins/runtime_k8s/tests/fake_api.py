"""A double of the API server: objects in memory, watches, token reviews, and a note of every request.

It does what the tests of the real one show: versions, conflicts, owners that take what they own along.
"""

from __future__ import annotations

import copy
import itertools
import queue
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from kuma_core.sdk import Stop, StoreUnavailable

_PLACE = re.compile(
    r"(?P<api>/api/v1|/apis/[^/]+/[^/]+)(/namespaces/(?P<ns>[^/]+))?/(?P<kind>[a-z]+)(/(?P<name>[^/]+))?"
)


class Refusal(StoreUnavailable):
    """An answer that says no."""

    def __init__(self, code: int, message: str = "refused") -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


class FakeApi:
    """See above. ``refuse`` is asked before each request, and raises what is to be answered."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.reviewed: Callable[[dict[str, Any]], dict[str, Any]] = lambda spec: {"authenticated": False}
        self.refuse: Callable[[str, str], None] = lambda method, path: None
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._watchers: list[tuple[str, Any]] = []
        self._guard = threading.RLock()
        self._numbers = itertools.count(1)

    def asked(self, method: str, part: str = "") -> list[Any]:
        """The bodies of the requests of a method whose path holds a text."""
        return [body for verb, path, body in self.requests if verb == method and part in path]

    def refuse_posts(self) -> threading.Event:
        """Answer 503 to each POST from now on, until ``refuse`` is another one; tells when one came."""
        came = threading.Event()

        def refuse(method: str, path: str) -> None:
            if method == "POST":
                came.set()
                raise Refusal(503)

        self.refuse = refuse
        return came

    # -- what a KubeApi does

    def ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: Any = None,
        type: str = "application/json",
    ) -> dict[str, Any]:
        with self._guard:
            self.requests.append((method, path, copy.deepcopy(body)))
            self.refuse(method, path)
            if path.endswith("/tokenreviews"):
                assert body is not None
                return {"status": self.reviewed(body["spec"])}
            if type == "application/json-patch+json":
                body = self._patched(path, body)
            return copy.deepcopy(self._served(method, path, copy.deepcopy(dict(body or {}))))

    def follow(self, path: str, selection: Mapping[str, str], receiver: Any, stop: Stop) -> None:
        told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self._guard:
            wanted = _PLACE.fullmatch(path)
            assert wanted
            collection, namespace = f"{wanted['api']}/{wanted['kind']}", wanted["ns"]
            name = selection.get("fieldSelector", "").removeprefix("metadata.name=")
            watcher = (collection, told)
            there = [item for (kind, *at), item in self._objects.items() if kind == collection and at]
            self._watchers.append(watcher)

        def is_meant(item: Mapping[str, Any]) -> bool:
            return namespace in (None, _ns(item)) and name in ("", item["metadata"]["name"])

        listed = {f"{_ns(item)}/{item['metadata']['name']}": copy.deepcopy(item) for item in there}
        receiver.replaced({place: item for place, item in listed.items() if is_meant(item)})
        receiver.settled()
        with stop.calling(lambda: told.put(None)):
            while (event := told.get()) is not None:
                if is_meant(event[1]):
                    (receiver.deleted if event[0] == "DELETED" else receiver.put)(event[1])
        with self._guard:
            self._watchers.remove(watcher)

    # -- what tests do

    def put(self, path: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """Have an object be there; ``path`` is that of its collection, without a namespace."""
        with self._guard:
            made = copy.deepcopy(dict(item))
            key = (path, _ns(made), made["metadata"]["name"])
            old = self._objects.get(key)
            made["metadata"].setdefault("uid", old["metadata"]["uid"] if old else f"u-{next(self._numbers)}")
            return copy.deepcopy(self._store(key, made, "MODIFIED" if old else "ADDED"))

    def get(self, path: str, name: str, namespace: str = "") -> dict[str, Any] | None:
        """An object, or ``None``."""
        with self._guard:
            return copy.deepcopy(self._objects.get((path, namespace, name)))

    def remove(self, path: str, name: str, namespace: str = "") -> None:
        """Delete an object, and all that it owns."""
        with self._guard:
            item = self._objects.pop((path, namespace, name))
            self._tell(path, "DELETED", item)
            owned = [
                key
                for key, other in self._objects.items()
                if any(
                    o["uid"] == item["metadata"]["uid"] for o in other["metadata"].get("ownerReferences", ())
                )
            ]
            for key in owned:
                self.remove(key[0], key[2], key[1])

    def _served(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        found = _PLACE.fullmatch(path)
        assert found, path
        collection, namespace = f"{found['api']}/{found['kind']}", found["ns"] or ""
        meta = body.get("metadata", {})
        if method == "POST" and "generateName" in meta and "name" not in meta:
            meta["name"] = f"{meta['generateName']}{next(self._numbers)}"
        name = found["name"] or meta.get("name", "")
        key = (collection, namespace, name)
        present = self._objects.get(key)
        if method == "POST":
            if present:
                raise Refusal(409, "already exists")
            body["metadata"].setdefault("uid", f"u-{next(self._numbers)}")
            if namespace:
                body["metadata"]["namespace"] = namespace
            return self._store(key, body, "ADDED")
        if method == "GET" and not found["name"]:
            return {"items": [item for at, item in self._objects.items() if at[0] == collection]}
        if present is None:
            raise Refusal(404, f"{path} is not found")
        if method == "GET":
            return present
        if method == "DELETE":
            self.remove(collection, name, namespace)
            return {}
        if method == "PATCH":
            return self._store(key, _merged(present, body), "MODIFIED")
        if body["metadata"].get("resourceVersion") != present["metadata"]["resourceVersion"]:
            raise Refusal(409, "conflict")
        return self._store(key, body, "MODIFIED")

    def _patched(self, path: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        """What a JSON Patch of ``test`` and ``add`` makes of an object."""
        made = copy.deepcopy(self._served("GET", path, {}))
        for operation in operations:
            *steps, last = operation["path"].split("/")[1:]
            target: Any = made
            for step in steps:
                target = target[int(step) if isinstance(target, list) else step]
            if operation["op"] == "test":
                if target.get(last) != operation["value"]:
                    raise Refusal(422, "the test failed")
            else:
                target[last] = operation["value"]
        return made

    def _store(self, key: tuple[str, str, str], item: dict[str, Any], event: str) -> dict[str, Any]:
        item["metadata"]["resourceVersion"] = str(next(self._numbers))
        self._objects[key] = item
        self._tell(key[0], event, item)
        return item

    def _tell(self, path: str, event: str, item: dict[str, Any]) -> None:
        for watched, told in self._watchers:
            if watched == path:
                told.put((event, copy.deepcopy(item)))


def _ns(item: Mapping[str, Any]) -> str:
    return str(item["metadata"].get("namespace") or "")


def _merged(present: Any, change: Any) -> Any:
    """A JSON Merge Patch (RFC 7386)."""
    if not isinstance(change, dict):
        return change
    made = dict(present) if isinstance(present, dict) else {}
    for key, value in change.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merged(made.get(key), value)
    return made
