"""What other control planes say of an instance that leaves: one asks all, and each answers for its own proxies.

Questions and answers are hints without a record. The store tells hints behind the writes before them, so who hears of
a question has heard that the instance leaves.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.model import ResourceKey
from kuma_core.resources.contract import Change, Op, Store, TellingStore

_log = structlog.get_logger("presence")

QUESTION, ANSWER = "PresenceQuestion", "PresenceAnswer"
HEARD_SECONDS = 1.0
"""How long it takes at most, where a store tells no hints, until others have heard of a write and pushed it."""
ANSWER_SECONDS = 1.0
"""How long somebody who is asked waits for his proxies; then he says how many of them are missing."""
MOST_ANSWERS = 4
"""How many questions are answered at once; each takes some milliseconds, but for a proxy that hangs."""
MOST_QUESTIONS = 100
"""How many may wait for that; who is not answered asks again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a control plane says of its proxies.

    ``left`` of them may call the instance still. ``here`` is how many instances that call it are connected to it. One
    that ``is_fresh`` started a moment ago, so that others may be on their way to it.
    """

    left: int
    here: int
    is_fresh: bool


Stand = Callable[[str, str, float], Standing]
"""Waits for so many seconds at most until our proxies call an instance no more; mesh and name. Raises ``KumaError``."""


@dataclass(slots=True)
class _Question:
    """A question of ours, and what was answered by whom."""

    asked: frozenset[str]
    answers: dict[str, Standing] = field(default_factory=dict)
    complete: threading.Event = field(default_factory=threading.Event)


class Others:
    """A component that answers, and where we ask. Safe for use from several threads; at rest it waits."""

    name = "presence-of-others"
    leader_only = False

    def __init__(self, own_id: str, alive: Callable[[], Iterable[str]], store: Store, stand: Stand) -> None:
        self._own_id, self._alive, self._stand = own_id, alive, stand
        self._telling = store if isinstance(store, TellingStore) else None
        self._open: dict[str, _Question] = {}
        self._heard: queue.Queue[ResourceKey | None] = queue.Queue(MOST_QUESTIONS)

    def ask(self, mesh: str, name: str, seconds: float) -> Mapping[str, Standing | None]:
        """What each other control plane says of an instance that leaves, ``None`` if nothing within so many seconds.

        One that was killed is asked until it counts as dead. Raises ``StoreUnavailable``.
        """
        asked = frozenset(self._alive()) - {self._own_id}
        if not asked:
            return {}
        if self._telling is None:
            time.sleep(min(HEARD_SECONDS, seconds))
            return {}
        id, question = uuid.uuid4().hex, _Question(asked)
        self._open[id] = question
        try:
            self._telling.tell(ResourceKey(QUESTION, mesh, f"{id} {name}"))
            question.complete.wait(seconds)
        finally:
            del self._open[id]
        return {other: question.answers.get(other) for other in asked}

    # -- what the store's watch calls

    def changed(self, change: Change) -> None:
        """Take an answer to a question of ours, or a question of somebody else."""
        key = change.key
        if key is None or change.op is not Op.PUT:
            return
        if key.type == ANSWER:
            self._take(key.name)
        elif key.name.partition(" ")[0] not in self._open:
            try:
                self._heard.put_nowait(key)
            except queue.Full:
                _log.debug("a question of another control plane is left to be asked again", mesh=key.mesh)

    def _take(self, text: str) -> None:
        id, _, told = text.partition(" ")
        other, _, numbers = told.partition(" ")
        question = self._open.get(id)
        if question is None or other not in question.asked:
            return
        try:
            left, here, is_fresh = map(int, numbers.split(" "))
        except ValueError:
            return  # of another version, which counts as silent
        question.answers[other] = Standing(left, here, bool(is_fresh))
        if question.answers.keys() == question.asked:
            question.complete.set()

    # -- the threads

    def run(self, stop: Stop) -> None:
        """Answer until ``stop`` is set."""
        stop.on_set(self._end)
        with ThreadPoolExecutor(MOST_ANSWERS, "presence-answer") as pool:
            turns = threading.BoundedSemaphore(MOST_ANSWERS)
            while (key := self._heard.get()) and not stop.is_set():
                turns.acquire()
                pool.submit(self._answer, key).add_done_callback(lambda _: turns.release())

    def _end(self) -> None:
        """Wake the thread, whatever it has to do."""
        while True:
            try:
                return self._heard.put_nowait(None)
            except queue.Full:
                self._heard.get_nowait()

    def _answer(self, key: ResourceKey) -> None:
        id, _, name = key.name.partition(" ")
        try:
            found = self._stand(key.mesh, name, ANSWER_SECONDS)
            numbers = f"{found.left} {found.here} {found.is_fresh:d}"
            if self._telling:
                self._telling.tell(ResourceKey(ANSWER, key.mesh, f"{id} {self._own_id} {numbers}"))
        except KumaError as error:
            _log.info("a question of another control plane cannot be answered now", problem=str(error))
