"""Fences: each control plane says of its own proxies which of them do not run yet with all that was written before.

Whoever waits has a fence told to all, by a hint without a record. The store tells hints in the order of what happened,
so a control plane that hears of a fence has heard of every write before it; from then on it looks at its streams, and
notes for the others who is behind, until nobody is. Nothing is looked at while there is no fence.

A fence may be set since another one, which stood before the writes. Then proxies whose newest configuration is as old
as that one are not waited for: what holds them up was there before.
"""

from __future__ import annotations

import json
import queue
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from kuma_core.builtin.cluster.contract import Cluster
from kuma_core.errors import Busy, KumaError, NotFound
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op, Store, TellingStore
from kuma_core.xds.contract import Behind, Enforcement

_log = structlog.get_logger("in-force")

TOPIC = FENCE = "Fence"
LOOK_SECONDS = 0.25
"""How often the streams are looked at while somebody waits."""
LOOK_SHARE = 10
"""With very many streams looks are rarer: they take a tenth of the time at most."""
CALM_SECONDS = 0.2
"""For how long nobody is behind a settled fence: between the answer to clusters and the question for their endpoints a
stream has nothing to do for a moment."""
LIFE_SECONDS = 120.0
"""How long a fence is looked at; who waits longer sets another one."""
SETTLED_SECONDS = 30.0
"""How long it is remembered that a fence is settled."""
MOST_FENCES = 50
"""Behind how many somebody may wait at once."""
MOST_REMEMBERED = 200
"""How many fences one control plane knows of at once, settled ones too; of those of others, twice as many."""
MOST_NAMES = 10
"""How many proxies a note names, with a reason each; the others are counted."""
LONGEST_REASON = 200


OVER = float("-inf")
"""The birth of a fence that nobody waits for any more."""
EVERYBODY = -1
"""The mark of a fence that waits for whoever is behind."""
SINCE = "-"
"""Stands in an id before the id of the fence since which it was set, so that the hint carries both."""


@dataclass(slots=True)
class Fence:
    """One fence as this control plane sees it; ``meshes`` are names, ``""`` for all.

    ``mark`` is that of the moment in which this one heard of it, ``since`` that of the fence since which it was set.
    Once it ``is_settled`` nobody need look any more. ``told`` is when all were told of it last.
    """

    meshes: set[str]
    mark: int = EVERYBODY
    since: int = EVERYBODY
    born: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    noted: str = ""
    calm_since: float | None = None
    is_settled: bool = False

    def concerns(self, mesh: str) -> bool:
        """Whether proxies of a mesh are waited for."""
        return "" in self.meshes or mesh in self.meshes

    def look(self, is_calm: bool, is_touched: bool) -> None:
        """Note whether anybody is behind now, and whether anybody got something since."""
        now = time.monotonic()
        self.calm_since = (self.calm_since or now) if is_calm else None
        rested = self.calm_since is not None and now - self.calm_since >= CALM_SECONDS
        self.is_settled = rested or (is_calm and not is_touched)

    def is_over(self) -> bool:
        """Whether it is time to forget it."""
        life = SETTLED_SECONDS if self.is_settled else LIFE_SECONDS
        return time.monotonic() - self.born > life


class Fences:
    """A component that looks at fences, and where others set them and ask. Safe for use from several threads."""

    name = "in-force"
    leader_only = False

    def __init__(self, cluster: Cluster, proxies: Enforcement, store: Store) -> None:
        self._cluster, self._proxies = cluster, proxies
        self._telling = store if isinstance(store, TellingStore) else None
        self._hints: queue.SimpleQueue[ResourceKey | None] = queue.SimpleQueue()
        self._open: dict[str, Fence] = {}
        self._set: dict[str, Fence] = {}
        self._pause = LOOK_SECONDS

    # -- what requests call

    def set(self, meshes: Iterable[str], since: str = "") -> str:
        """Set a fence behind all that was written to some meshes, since another fence if one is named; its id.

        Raises ``NotFound`` if that is over, ``Busy`` or ``StoreUnavailable``.
        """
        earlier = self._earlier(since)
        if since and (earlier is None or earlier.is_over()):
            raise NotFound("the fence since which this one is to stand is not there, or it is over")
        for lost in [id for id, fence in list(self._set.items()) if fence.is_over()]:
            self._set.pop(lost, None)
        known = [*list(self._open.values()), *self._set.values()]
        waited_for = [fence for fence in known if not fence.is_settled]
        if len(waited_for) >= MOST_FENCES or len(known) >= MOST_REMEMBERED:
            raise Busy("too many others wait for their writes already; try again in a few seconds")
        id = uuid.uuid4().hex + (SINCE + since.partition(SINCE)[0] if since else "")
        self._set[id] = Fence(set(meshes))
        self._tell(id, self._set[id].meshes)
        return id

    def state(self, id: str) -> dict[str, Any]:
        """Who is behind a fence still, as the control planes note it; raises ``NotFound``, ``StoreUnavailable``.

        A control plane that has noted nothing yet is ``silent``. It is told of the fence once more, for it may have
        lost the store for a moment.
        """
        notes = {instance: noted.get(id) for instance, noted in self._cluster.notes(TOPIC).items()}
        fence = self._open.get(id) or self._set.get(id)
        if fence is None and not any(notes.values()):
            raise NotFound("there is no such fence, or it is over")
        silent = sorted(instance for instance, noted in notes.items() if noted is None)
        if silent and fence and time.monotonic() - fence.told >= LOOK_SECONDS:
            fence.told = time.monotonic()
            self._tell(id, fence.meshes)
        found = {instance: json.loads(noted) for instance, noted in notes.items() if noted}
        behind = [
            {"mesh": mesh, "name": name, "reason": reason, "controlPlane": instance}
            for instance, noted in sorted(found.items())
            for mesh, name, reason in noted["behind"]
        ]
        count, before = (sum(noted.get(word, 0) for noted in found.values()) for word in ("count", "before"))
        is_settled = not (count or silent) and all(noted.get("settled", True) for noted in found.values())
        return {"inForce": is_settled, "count": count, "behind": behind, "before": before, "silent": silent}

    def _tell(self, id: str, meshes: Iterable[str]) -> None:
        for mesh in list(meshes):
            key = ResourceKey(FENCE, mesh, id)
            if self._telling:
                self._telling.tell(key)
            else:
                self.changed(Change(Op.PUT, key))

    # -- what the store's watch calls

    def changed(self, change: Change) -> None:
        """Take a hint."""
        self._hints.put(change.key)

    # -- the thread

    def run(self, stop: Stop) -> None:
        """Look at fences until ``stop`` is set."""
        stop.on_set(lambda: self._hints.put(None))
        while not stop.is_set():
            self._take_hints()
            if not stop.is_set():
                self.look()

    def _take_hints(self) -> None:
        """Wait for a fence; while one is open, for no longer than until the next look. Then take all that are there."""
        try:
            key = self._hints.get(timeout=self._pause if self._open else None)
            while True:
                if key and (key.name in self._open or len(self._open) < 2 * MOST_REMEMBERED):
                    self._hear(key.name).meshes.add(key.mesh)
                key = self._hints.get_nowait()
        except queue.Empty:
            return

    def _hear(self, id: str) -> Fence:
        """The fence of an id. What is new to us and set since another one takes the place of that, if we know it."""
        if id not in self._open:
            earlier = self._earlier(id.partition(SINCE)[2])
            since = earlier.mark if earlier else EVERYBODY
            self._open[id] = Fence(set(), self._proxies.mark(), since)
            self._set.pop(id, None)  # in this order: who asks meanwhile finds it
            if earlier:
                earlier.born = OVER
        return self._open[id]

    def _earlier(self, id: str) -> Fence | None:
        """The fence of an id, whether or not that says since which one it was set itself."""
        head = id.partition(SINCE)[0]
        known = list(self._open.items())
        return next((fence for other, fence in known if other.partition(SINCE)[0] == head), None)

    def look(self) -> None:
        """Look at the streams once for all fences, forget those that are over, and note what is new."""
        began = time.monotonic()
        try:
            for id in [id for id, fence in self._open.items() if fence.is_over()]:
                del self._open[id]
                self._cluster.note(TOPIC, id, "")
            waited_for = {id: fence for id, fence in self._open.items() if not fence.is_settled}
            if waited_for:
                meshes = {mesh for fence in waited_for.values() for mesh in fence.meshes}
                behind = self._proxies.behind_newest(meshes)
                for id, fence in waited_for.items():
                    self._note(id, fence, behind)
        except KumaError as error:
            _log.info("who runs with the newest configuration cannot be told now", problem=str(error))
        self._pause = max(LOOK_SECONDS, LOOK_SHARE * (time.monotonic() - began))

    def _note(self, id: str, fence: Fence, everybody: Mapping[tuple[str, str], Behind]) -> None:
        mine = {place: item for place, item in everybody.items() if fence.concerns(place[0])}
        behind = {place: item.reason for place, item in mine.items() if item.made > fence.since}
        fence.look(not behind, bool(behind) or self._proxies.newest(fence.meshes) > fence.since)
        named = sorted(behind.items())[:MOST_NAMES]
        listed = [[mesh, name, reason[:LONGEST_REASON]] for (mesh, name), reason in named]
        counts = {"count": len(behind), "before": len(mine) - len(behind)}
        value = json.dumps({"settled": fence.is_settled, **counts, "behind": listed})
        if value != fence.noted:
            self._cluster.note(TOPIC, id, value)
            fence.noted = value
