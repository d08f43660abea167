"""A double of the API server, for tests that want many objects, or faults on command. It passes the store's contract.

It has no schema and no admission, and keeps everything in memory. ``ApiDouble`` is what it holds and how it misbehaves;
``doubleserver`` gives it a port.
"""

from __future__ import annotations

import copy
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
Collection = str
"""Group and plural, as in ``kuma.io/things`` or ``/secrets``."""


class Answer(Exception):
    """A refusal, as the API server words it."""

    def __init__(self, code: int, reason: str, message: str, retry: int = 0, **details: Any) -> None:
        super().__init__(message)
        self.code, self.retry = code, retry
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message,
            "details": details,
        }


@dataclass
class Event:
    """One write: its revision, the collection, and the object after it (of a deletion, before it)."""

    revision: int
    collection: Collection
    type: str
    item: Json


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    query: dict[str, str]
    at: float = field(default_factory=time.monotonic)

    @property
    def is_watch(self) -> bool:
        """Whether it is one whose answer goes on."""
        return "watch" in self.query


@dataclass
class Wish:
    """How one request, or several, are to be answered."""

    fits: Callable[[Asked], bool]
    answer: Answer
    times: int


class ApiDouble:
    """Objects, their history, and the faults that a test wishes for. Safe for use from several threads."""

    def __init__(self, collections: Iterable[Collection]) -> None:
        self.namespaces = {"default", "kuma-system"}
        self.changed = threading.Condition()
        self.revision, self.oldest, self.epoch = 100, 0, 0
        self.objects: dict[Collection, dict[tuple[str, str], Json]] = {name: {} for name in collections}
        self.token, self.minor = "", "37"
        self.events: list[Event] = []
        self.asked: list[Asked] = []
        self.wishes: list[Wish] = []
        self.streams_lists = True
        self.cuts: list[tuple[str, int]] = []
        self.closes = threading.Event()
        self.closes.set()

    # -- what tests wish for

    def refuse(
        self,
        code: int,
        reason: str = "",
        part: str = "",
        times: int = 10**9,
        retry: int = 0,
        watch: bool | None = None,
    ) -> Wish:
        """Answer requests whose path has a part with a refusal."""
        wish = Wish(
            lambda asked: part in asked.path and watch in (None, asked.is_watch),
            Answer(code, reason, f"cannot do this: {code}", retry),
            times,
        )
        self.wishes.append(wish)
        return wish

    def relent(self) -> None:
        """Refuse nothing any more."""
        self.wishes.clear()

    def cut(self, part: str, after: int) -> None:
        """Cut the next watch of such a path after so many bytes, in the middle of whatever is there."""
        self.cuts.append((part, after))

    def cut_of(self, path: str) -> int | None:
        """After how many bytes a watch is to be cut now, if at all."""
        for cut in list(self.cuts):
            if cut[0] in path:
                self.cuts.remove(cut)
                return cut[1]
        return None

    def empty(self) -> None:
        """Lose everything, as with an etcd that was emptied: the history begins anew, and every watch ends."""
        with self.changed:
            self.revision, self.oldest = 1, 0
            self.events.clear()
            for objects in self.objects.values():
                objects.clear()
            self.epoch += 1
            self.changed.notify_all()

    def cut_watches(self) -> None:
        """End every watch, in order."""
        with self.changed:
            self.epoch += 1
            self.changed.notify_all()

    @contextmanager
    def closing_late(self) -> Iterator[None]:
        """Close no connection of a watch that ended before the end of the block."""
        self.closes.clear()
        try:
            yield
        finally:
            self.closes.set()

    def forget(self) -> None:
        """Forget the history: a watch from an earlier version is answered with 410."""
        with self.changed:
            self.revision += 1
            self.oldest = self.revision
            self.events.clear()

    def bookmark(self) -> None:
        """Tell every watch the version by now."""
        with self.changed:
            self.revision += 1
            self.events.append(Event(self.revision, "", "BOOKMARK", {}))
            self.changed.notify_all()

    def watches(self) -> list[str]:
        """The paths of all watches that were asked for."""
        return [asked.path for asked in list(self.asked) if asked.is_watch]

    # -- what the server does

    def answer(self, method: str, path: str, query: dict[str, str], body: Json | None) -> Json:
        """The object for an answer. Raises ``Answer``."""
        self.note(method, path, query)
        if path == "/version":
            return {"major": "1", "minor": self.minor}
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
            if path.rpartition("/")[2] not in self.namespaces:
                raise Answer(404, "NotFound", "no such namespace", kind="namespaces", name="it")
            return {"metadata": {}}
        where = self.locate(path)
        with self.changed:
            if where.name:
                return self._one(method, where, body)
            if method == "POST":
                return self._create(where, body or {})
            return self._list(where, query)

    def note(self, method: str, path: str, query: dict[str, str]) -> None:
        """Remember a request. Raises ``Answer`` if a test wished for one."""
        asked = Asked(method, path, query)
        self.asked.append(asked)
        for wish in list(self.wishes):
            if wish.times > 0 and wish.fits(asked):
                wish.times -= 1
                raise wish.answer

    def locate(self, path: str) -> Where:
        """Where a path leads. Raises ``Answer`` for one that leads nowhere."""
        parts = path.strip("/").split("/")
        group = "" if parts[0] == "api" else parts[1]
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        collection = f"{group}/{rest[0]}" if rest else ""
        if collection not in self.objects:
            raise Answer(404, "NotFound", "the server could not find the requested resource")
        return Where(collection, namespace, rest[1] if len(rest) > 1 else "")

    def chosen(self, where: Where, item: Json, query: dict[str, str]) -> bool:
        """Whether selectors choose an object."""
        meta = item["metadata"]
        if where.namespace and meta.get("namespace") != where.namespace:
            return False
        for name, value in (pair.split("=") for pair in query.get("fieldSelector", "").split(",") if pair):
            if {"metadata.name": meta["name"], "type": item.get("type")}[name] != value:
                return False
        labels = meta.get("labels") or {}
        wanted = [pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair]
        return all(labels.get(name) == value for name, value in wanted)

    def _list(self, where: Where, query: dict[str, str]) -> Json:
        found = [
            item
            for _, item in sorted(self.objects[where.collection].items())
            if self.chosen(where, item, query)
        ]
        start, limit = int(query.get("continue") or 0), int(query.get("limit") or len(found) or 1)
        meta = {"resourceVersion": str(self.revision)}
        if start + limit < len(found):
            meta["continue"] = str(start + limit)
        return {"kind": "List", "metadata": meta, "items": found[start : start + limit]}

    def _create(self, where: Where, body: Json) -> Json:
        if where.namespace and where.namespace not in self.namespaces:
            told = f'namespaces "{where.namespace}" not found'
            raise Answer(404, "NotFound", told, kind="namespaces", name=where.namespace)
        item = copy.deepcopy(body)
        meta = item["metadata"]
        if (where.namespace, meta["name"]) in self.objects[where.collection]:
            raise Answer(409, "AlreadyExists", f'"{meta["name"]}" already exists', name=meta["name"])
        meta |= {"uid": uuid.uuid4().hex} | ({"namespace": where.namespace} if where.namespace else {})
        return self.write(where.collection, "ADDED", item)

    def _one(self, method: str, where: Where, body: Json | None) -> Json:
        present = self.objects[where.collection].get((where.namespace, where.name))
        if present is None:
            raise Answer(404, "NotFound", f'"{where.name}" not found', name=where.name)
        if method == "GET":
            return present
        if method == "DELETE":
            wanted = ((body or {}).get("preconditions") or {}).get("uid")
            if wanted not in (None, present["metadata"]["uid"]):
                raise Answer(409, "Conflict", "another uid", name=where.name)
            self.write(where.collection, "DELETED", present)
            return {"kind": "Status", "status": "Success"}
        changed = _merged(present, body or {}) if method == "PATCH" else copy.deepcopy(body or {})
        version = changed["metadata"].get("resourceVersion")
        if version not in (None, present["metadata"]["resourceVersion"]):
            raise Answer(409, "Conflict", "the object has been modified", name=where.name)
        changed["metadata"] |= {key: present["metadata"][key] for key in ("uid", "resourceVersion")}
        return present if changed == present else self.write(where.collection, "MODIFIED", changed)

    def write(self, collection: Collection, type: str, item: Json) -> Json:
        """Store an object, or its end, under a new version, and tell everybody; the caller holds the lock."""
        self.revision += 1
        made: Json = json.loads(json.dumps(item))
        made["metadata"]["resourceVersion"] = str(self.revision)
        place = made["metadata"].get("namespace", ""), made["metadata"]["name"]
        if type == "DELETED":
            self.objects[collection].pop(place, None)
        else:
            self.objects[collection][place] = made
        self.events.append(Event(self.revision, collection, type, made))
        self.changed.notify_all()
        return made


@dataclass
class Where:
    """The place that a path names; without a name it is the collection."""

    collection: Collection
    namespace: str
    name: str = ""


@dataclass
class Stream:
    """One watch: what it is to send."""

    double: ApiDouble
    where: Where
    query: dict[str, str]
    epoch: int = field(init=False)

    def __post_init__(self) -> None:
        self.epoch = self.double.epoch

    def begin(self) -> Iterator[Json]:
        """The first events, and from which version on the others follow. Raises ``Answer``."""
        double, streams = self.double, "sendInitialEvents" in self.query
        if streams and not double.streams_lists:
            raise Answer(
                422, "Invalid", "sendInitialEvents is forbidden for watch unless the gate is enabled"
            )
        with double.changed:
            self.seen = (
                double.revision if streams else int(self.query.get("resourceVersion") or double.revision)
            )
            items = double._list(self.where, {**self.query, "limit": ""})["items"] if streams else []
            is_gone = self.seen < double.oldest
        if is_gone:
            gone = Answer(410, "Expired", "too old resource version").status
            return iter([{"type": "ERROR", "object": gone}])
        end = {
            "metadata": {
                "resourceVersion": str(self.seen),
                "annotations": {"k8s.io/initial-events-end": "true"},
            }
        }
        marks = [{"type": "BOOKMARK", "object": end}] if streams else []
        return iter([*({"type": "ADDED", "object": item} for item in items), *marks])

    def more(self, is_over: Callable[[], bool]) -> list[Json] | None:
        """What happened since, after waiting for something; ``None`` if the watch is to end."""
        double = self.double
        with double.changed:
            double.changed.wait_for(
                lambda: is_over() or self.epoch != double.epoch or double.revision > self.seen, 1.0
            )
            new = [event for event in double.events if event.revision > self.seen]
            if is_over() or (self.epoch != double.epoch and not new):
                return None
            self.seen = double.revision
        return [shown for event in new if (shown := self._shown(event))]

    def _shown(self, event: Event) -> Json | None:
        if event.type == "BOOKMARK":
            return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(event.revision)}}}
        is_ours = event.collection == self.where.collection
        if not is_ours or not self.double.chosen(self.where, event.item, self.query):
            return None
        return {"type": event.type, "object": event.item}


def _merged(present: Any, change: Any) -> Any:
    """RFC 7396."""
    if not isinstance(change, dict):
        return change
    found = dict(present) if isinstance(present, dict) else {}
    for key, value in change.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), value)
    return found


def kubeconfig_for(port: int, path: Path) -> Path:
    """A kubeconfig that leads to a double."""
    config = {
        "current-context": "double",
        "contexts": [{"name": "double", "context": {"cluster": "double", "user": "double"}}],
        "clusters": [{"name": "double", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "double", "user": {"token": "none"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path
