"""Fences: each control plane says of its own proxies which of them do not run yet with all that was written before.

Whoever waits has a fence told to all, by a hint without a record. The store tells hints in the order of what happened,
so a control plane that hears of a fence has heard of every write before it; from then on it looks at its streams, and
notes for the others who is behind, until nobody is. Nothing is looked at while there is no fence.
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
from kuma_core.xds.contract import Enforcement

_log = structlog.get_logger("in-force")

TOPIC = FENCE = "Fence"
LOOK_SECONDS = 0.25
"""How often the streams are looked at while somebody waits."""
LOOK_SHARE = 10
"""With very many streams looks are rarer: they take a tenth of the time at most."""
CALM_LOOKS = 2
"""After how many looks in a row without anybody behind a fence is settled: between the answer to clusters and the
question for their endpoints a stream has nothing to do for a moment."""
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


@dataclass(slots=True)
class Fence:
    """One fence as this control plane sees it; ``meshes`` are names, ``""`` for all."""

    meshes: set[str]
    born: float = field(default_factory=time.monotonic)
    noted: str = ""
    calm: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether nobody is behind it, so that nobody need look any more."""
        return self.calm >= CALM_LOOKS

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

    def set(self, meshes: Iterable[str]) -> str:
        """Set a fence behind all that was written to some meshes; its id. Raises ``Busy`` or ``StoreUnavailable``."""
        self._set = {
            id: fence for id, fence in self._set.items() if not (id in self._open or fence.is_over())
        }
        known = [*list(self._open.values()), *self._set.values()]
        waited_for = [fence for fence in known if not fence.is_settled]
        if len(waited_for) >= MOST_FENCES or len(known) >= MOST_REMEMBERED:
            raise Busy("too many others wait for their writes already; try again in a few seconds")
        id = uuid.uuid4().hex
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
        if silent and fence:
            self._tell(id, fence.meshes)
        found = {instance: json.loads(noted) for instance, noted in notes.items() if noted}
        behind = [
            {"mesh": mesh, "name": name, "reason": reason, "controlPlane": instance}
            for instance, noted in sorted(found.items())
            for mesh, name, reason in noted["behind"]
        ]
        count = sum(noted["count"] for noted in found.values())
        return {"inForce": not (count or silent), "count": count, "behind": behind, "silent": silent}

    def _tell(self, id: str, meshes: Iterable[str]) -> None:
        for mesh in meshes:
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
                    self._open.setdefault(key.name, Fence(set())).meshes.add(key.mesh)
                key = self._hints.get_nowait()
        except queue.Empty:
            return

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

    def _note(self, id: str, fence: Fence, everybody: Mapping[tuple[str, str], str]) -> None:
        behind = {
            place: why for place, why in everybody.items() if "" in fence.meshes or place[0] in fence.meshes
        }
        fence.calm = 0 if behind else fence.calm + 1
        if not behind and not fence.is_settled:
            return
        named = sorted(behind.items())[:MOST_NAMES]
        listed = [[mesh, name, reason[:LONGEST_REASON]] for (mesh, name), reason in named]
        value = json.dumps({"count": len(behind), "behind": listed})
        if value != fence.noted:
            self._cluster.note(TOPIC, id, value)
            fence.noted = value
