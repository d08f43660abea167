"""The one thread in which changes become snapshots.

Events are hints: every one of them leads to a look at the store, and what did not really change ends there.
The thread generates only connected proxies, and of those only the ones that a change can touch: their own Dataplane,
a service whose endpoints they asked for, or their mesh. Every mesh gathers its own bursts, and meshes with work take
turns.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from kuma_core.errors import Busy, KumaError
from kuma_core.histogram import Histogram
from kuma_core.lifecycle import Stop
from kuma_core.log_levels import IN_FORCE
from kuma_core.policy.contract import Policy
from kuma_core.resources.contract import Change, Op
from kuma_core.xds.agenda import Agenda
from kuma_core.xds.contract import Generator
from kuma_core.xds.culprits import culprits
from kuma_core.xds.fences import Fences
from kuma_core.xds.heartbeat import Heartbeat
from kuma_core.xds.inbox import Closed, Fence, Item, Opened, Prepared, Question, Renewed, mesh_of
from kuma_core.xds.maker import Generated, Maker, touched_by
from kuma_core.xds.mesh_views import Effects, MeshViews
from kuma_core.xds.preparing import NotPrepared, Preparer
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.rounds import Round, Rounds
from kuma_core.xds.since import Since
from kuma_core.xds.snapshot import EMPTY, Snapshot

_log = structlog.get_logger("xds-reconciler")

T = TypeVar("T")

RETRY_SECONDS = 1.0
"""How long we wait before we read again after the store failed."""
PASS_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.5, 10)
"""Into which buckets passes are counted: 50 proxies take some 30 ms, and 5 000 some seconds."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Snapshots to hand to the streams.

    ``at_once`` goes out immediately. ``afterwards`` goes out when the proxies in ``at_once`` have
    acknowledged their new endpoints, so that no proxy sends a connection to one that was just emptied. ``since`` is
    when the oldest write began that led to them; ``None`` if none did.
    """

    at_once: Mapping[Proxy, Snapshot]
    afterwards: Mapping[Proxy, Snapshot]
    since: float | None = None


@dataclass(slots=True)
class Work:
    """What the reconciler did so far, for the metrics."""

    passes: int = 0
    generated: int = 0
    failures: int = 0
    times: Histogram = field(default_factory=lambda: Histogram(PASS_SECONDS))


def _waited(answer: Future[T], seconds: float) -> T:
    try:
        return answer.result(timeout=seconds)
    except TimeoutError:
        answer.cancel()
        raise Busy(f"the control plane was too busy to answer within {seconds:.0f} s") from None


class Reconciler:
    """Takes changes and arrivals through its inbox, and delivers snapshots.

    ``report`` learns why a proxy keeps an older configuration, ``looked`` what a batch of changes can touch, once the
    views show it. ``setting`` gives the value of a configuration key.
    """

    name = "xds-reconciler"
    leader_only = False

    def __init__(
        self,
        views: MeshViews,
        generators: Iterable[Generator],
        deliver: Callable[[Delivery], None],
        longest_burst_seconds: float = 1.0,
        policies: Iterable[Policy] = (),
        report: Callable[[Proxy, str], None] = lambda proxy, problem: None,
        looked: Callable[[Effects], None] = lambda effects: None,
        setting: Callable[[str], Any] = lambda path: None,
    ) -> None:
        self._views = views
        self.maker = Maker(generators, policies, setting)
        self._deliver = deliver
        self._report = report
        self._looked = looked
        self._inbox: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._agenda = Agenda(longest_burst_seconds)
        self._since = Since()
        self._rounds = Rounds(self._generate, self._finish)
        self._preparer = Preparer(lambda key: self._inbox.put(Prepared(key)))
        self._connected: dict[Proxy, Generated] = {}
        self._changes: list[Change] = []
        self._questions: list[Question] = []
        self._fences = Fences()
        self._dirty: dict[str, set[Proxy]] = {}  # by mesh
        self._unknown: set[Proxy] = (
            set()
        )  # came while the store could not be read, and the views do not know them
        self._unprepared: dict[Hashable, set[Proxy]] = {}  # by what they wait for
        self._prepared: set[Proxy] = set()  # waited already, and do not wait twice for one change
        self._tried_at = 0.0
        self.begun = 0
        """The number of the newest round: what the store takes from now on is in the views of later ones alone."""
        self.work = Work()
        self.ready = Stop()
        self.beat = Heartbeat()
        self.busy = threading.Event()
        """Set whenever there is work; whoever watches over the thread clears it."""
        self._answering: list[Question] = []

    # -- what other threads call

    def changed(self, change: Change) -> None:
        """Take a hint from the store's watch."""
        self._views.hear()
        self._inbox.put(change)

    def opened(self, proxy: Proxy) -> None:
        """A proxy opened its first stream."""
        self._inbox.put(Opened(proxy))

    def closed(self, proxy: Proxy) -> None:
        """A proxy closed its last stream."""
        self._inbox.put(Closed(proxy))

    def renew(self) -> None:
        """Have every proxy generated anew: a plugin came into quarantine, or got out of it."""
        self._inbox.put(Renewed())
        self.changed(Change(Op.RESYNC))

    def problem_of(self, mesh: str, name: str) -> str:
        """Why a connected proxy still has an older configuration; empty if all is well."""
        connected = list(self._connected.items())
        problems = (item.problem for proxy, item in connected if proxy.id == (mesh, name))
        return next((problem for problem in problems if problem), "")

    def ask(self, look: Callable[[MeshViews], T], seconds: float) -> T:
        """What ``look`` finds in the views; it runs in the reconciler's thread and must not change anything.

        Raises what ``look`` raises, or ``Busy`` if there is no answer in time.
        """
        answer: Future[T] = Future()
        self._inbox.put(Question(look, answer))
        return _waited(answer, seconds)

    def settle(self, seconds: float) -> None:
        """Wait until everything that was told so far is generated and handed to the streams.

        Raises ``Busy`` if that takes longer, and ``KumaError`` while the store cannot be read.
        """
        answer: Future[None] = Future()
        self._inbox.put(Fence(answer))
        _waited(answer, seconds)

    def made(self) -> dict[tuple[str, str], int]:
        """By mesh and name of each connected proxy: which round made its newest snapshot, or found that it fails."""
        found: dict[tuple[str, str], int] = {}
        for proxy, generated in list(self._connected.items()):
            found[proxy.id] = max(found.get(proxy.id, 0), generated.made)
        return found

    def connected(self, mesh: str, name: str) -> list[Proxy]:
        """The connected proxies of a Dataplane."""
        return [proxy for proxy in list(self._connected) if proxy.id == (mesh, name)]

    def callers(self, mesh: str, services: Collection[str]) -> list[Proxy]:
        """The connected proxies of a mesh that asked for the endpoints of any of these services."""
        return [
            proxy
            for proxy, generated in list(self._connected.items())
            if proxy.mesh == mesh and not generated.services.isdisjoint(services)
        ]

    def culprits(self, proxy: Proxy, type_url: str, words: str) -> list[str]:
        """Where that comes from what a proxy refuses with these words, of what was handed over for it last."""
        generated = self._connected.get(proxy)
        return culprits(generated.snapshot, type_url, words) if generated and generated.snapshot else []

    def changes_waiting(self) -> int:
        """How many hints, arrivals and questions are not looked at yet."""
        return self._inbox.qsize() + len(self._changes)

    def proxies_waiting(self) -> int:
        """How many proxies are to be generated."""
        return sum(map(len, list(self._dirty.values()))) + self._rounds.left()

    # -- the thread

    def take_over(self) -> None:
        """Begin as a fresh thread where another one was given up: nothing that it left half-done counts."""
        self._questions = [*self._answering, *self._questions]
        self._refuse(Busy("the control plane gave up a plugin that did not come back"))
        self._answering = []
        self._rounds = Rounds(self._generate, self._finish)
        for proxy in list(self._connected):
            self._want(proxy)
        self.beat.rest()

    def run(self, stop: Stop) -> None:
        """Reconcile until ``stop`` is set."""
        self._tried_at = time.monotonic()
        with stop.calling(lambda: self._inbox.put(None)):
            while not stop.is_set():
                patience = self._patience()
                if patience != 0:
                    self.beat.rest()
                self._take_in(patience)
                if not stop.is_set():
                    self.beat.progress()
                    self.busy.set()
                    self._step()

    def _patience(self) -> float | None:
        """How long there is nothing to do unless something comes; ``None``: for ever."""
        if self._rounds or self._asked:
            return 0
        now = time.monotonic()
        left = self._agenda.seconds_left(now)
        if not self._views.stale:
            return left
        retry = max(0.0, self._tried_at + RETRY_SECONDS - now)
        return retry if left is None else min(left, retry)

    def _take_in(self, patience: float | None) -> None:
        """Wait so long for something, and note all that came."""
        item = self._take(patience)
        while item is not None:
            self._note(item)
            item = self._take(0)

    def _take(self, timeout: float | None) -> Item | None:
        """The next item within so many seconds (``None``: whenever it comes); ``None`` also means to stop."""
        try:
            return self._inbox.get_nowait() if timeout == 0 else self._inbox.get(timeout=timeout)
        except queue.Empty:
            return None

    def _note(self, item: Item) -> None:
        if isinstance(item, Change):
            self._changes.append(item)
            self._agenda.note(mesh_of(item), time.monotonic())
            self._since.hear(mesh_of(item), item.at)
        elif isinstance(item, Opened):
            self._connected[item.proxy] = Generated()
            self._want(item.proxy)
        elif isinstance(item, Closed):
            self._connected.pop(item.proxy, None)
            self._report(item.proxy, "")
            self._prepared.discard(item.proxy)
            self._dirty.get(item.proxy.mesh, set()).discard(item.proxy)
        elif isinstance(item, Renewed):
            for proxy in self._connected:
                self._want(proxy)
        elif isinstance(item, Prepared):
            for proxy in self._unprepared.pop(item.key, ()):
                self._prepared.add(proxy)
                self._want(proxy)
        elif isinstance(item, Fence):
            self._fences.add(item)
        else:
            self._questions.append(item)

    @property
    def _asked(self) -> bool:
        """Whether somebody waits for the views to be brought up to date."""
        return bool(self._questions) or self._fences.has_new

    def _want(self, proxy: Proxy) -> None:
        """Have a proxy generated in its mesh's next round, if it is still connected."""
        if proxy in self._connected:
            self._dirty.setdefault(proxy.mesh, set()).add(proxy)
            self._agenda.note(proxy.mesh, time.monotonic())

    def _step(self) -> None:
        """Read what is due to be read, begin what is due to begin, and give one mesh its turn."""
        now = time.monotonic()
        due = self._agenda.due(now, self._rounds.meshes)
        stale = self._views.stale and (due or now - self._tried_at >= RETRY_SECONDS)
        if (stale or self._asked or (due and self._changes)) and not self._read():
            return
        for mesh in due if not self._views.stale else ():
            self._begin(mesh, now)
        for mesh in self._agenda.due(now, self._rounds.meshes) if not self._views.stale else ():
            self._begin(mesh, now)  # whom the changes of another touch, as those of a global kind do
        if self._rounds:
            self._rounds.turn()

    def _read(self) -> bool:
        """Bring the views up to date and answer questions; whether the store could be read.

        While it cannot be, who comes is served from memory; and first of all if it could not be the last time, for it
        may take its time to fail again.
        """
        if self._views.stale:
            self._serve_from_memory()
        self._tried_at = time.monotonic()
        changes, self._changes = self._changes, []
        self.beat.reading = True
        try:
            effects = self._views.apply(changes)
        except KumaError as error:
            _log.warning("the store cannot be read; proxies keep what they have", error=str(error))
            self._agenda.clear()  # the next reading is of everything, and comes in its time
            self._refuse(error)
            self._serve_from_memory()
            return False
        finally:
            self.beat.reading = False
        self._looked(effects)
        if IN_FORCE.is_debugging(self.name):
            _log.debug("changes were looked at", changes=len(changes), **effects.counts())
        self._rounds.changed(effects)
        affected = self._affected(effects)
        self._since.show({proxy.mesh for proxy in affected})
        for proxy in {*affected, *self._unknown}:
            self._want(proxy)
        self._unknown.clear()
        for mesh in self._dirty:
            self._agenda.note(mesh, time.monotonic())
        self._place_fences()
        self._answer()
        self.ready.set()
        return True

    def _place_fences(self) -> None:
        """Have new fences wait for the rounds that go on, and for those that are to come of what is known by now."""
        left = dict.fromkeys(self._rounds.meshes, 1)
        for mesh in self._dirty:
            left[mesh] = left.get(mesh, 0) + 1
        for waiting in self._unprepared.values():
            left = {**{proxy.mesh: 1 for proxy in waiting}, **left}
        self._fences.place(left)

    def _waits(self, mesh: str) -> bool:
        """Whether proxies of a mesh wait for something to be prepared."""
        return any(proxy.mesh == mesh for waiting in self._unprepared.values() for proxy in waiting)

    def _begin(self, mesh: str, now: float) -> None:
        self._agenda.begun(mesh)
        self.begun += 1
        views, since = self._views.frozen(), self._since.take(mesh)
        self._rounds.begin(mesh, views, self._dirty.pop(mesh, ()), now, self.begun, since)

    def _finish(self, item: Round) -> None:
        self._put_off(item)
        if item.at_once or item.afterwards:
            self._deliver(Delivery(item.at_once, item.afterwards, self._since_of(item)))
        for proxy, snapshot in (*item.at_once.items(), *item.afterwards.items()):
            if proxy in self._connected:  # not before: a thread given up has delivered nothing
                self._connected[proxy].snapshot = snapshot
                self._connected[proxy].made = item.number
        self._fences.passed(item.mesh, one_more=self._waits(item.mesh))  # where something is being prepared
        now = time.monotonic()
        self._agenda.settled(item.mesh, now)
        self.work.passes += 1
        self.work.times.observe(now - item.began)
        if IN_FORCE.is_debugging(self.name):
            sent, ms = len(item.at_once) + len(item.afterwards), round((now - item.began) * 1000, 1)
            _log.debug("a round of a mesh is over", mesh=item.mesh, handed_over=sent, ms=ms)

    def _since_of(self, item: Round) -> float | None:
        """Since when proxies wait for a write. Where some of the mesh are to have another round, that one tells."""
        if item.since is not None and self._waits(item.mesh):
            self._since.keep(item.mesh, item.since)
            return None
        return item.since

    def _put_off(self, item: Round) -> None:
        """Empty nobody as long as a client that would turn away from it waits for something."""
        for waiting in self._unprepared.values():
            if any(proxy.mesh == item.mesh for proxy in waiting):
                waiting.update(item.afterwards)
                item.afterwards.clear()
                return

    def _serve_from_memory(self) -> None:
        """Give proxies that came what the views know. A proxy that they do not know waits until the store answers."""
        if not self.ready.is_set():
            return
        self._rounds.work_off()
        for mesh in list(self._dirty):
            came = set(self._dirty[mesh])
            self._begin(mesh, time.monotonic())
            self._rounds.work_off()
            self._unknown |= {
                proxy for proxy in came & self._connected.keys() if not self._connected[proxy].snapshot
            }

    def _refuse(self, error: KumaError) -> None:
        questions, self._questions = self._questions, []
        for item in questions:
            self._tell(item.answer.set_exception, error)
        self._fences.refuse(error)

    def _answer(self) -> None:
        self._answering, self._questions = self._questions, []
        for item in self._answering:
            if item.answer.set_running_or_notify_cancel():
                try:
                    found = item.look(self._views)
                except Exception as error:  # noqa: BLE001 - handed to whoever asked
                    self._tell(item.answer.set_exception, error)
                else:
                    self._tell(item.answer.set_result, found)
        self._answering = []

    def _tell(self, tell: Callable[[Any], None], answer: object) -> None:
        with suppress(InvalidStateError):
            tell(answer)

    def _affected(self, effects: Effects) -> set[Proxy]:
        """The connected proxies that the effects can touch."""
        return {
            proxy for proxy, generated in self._connected.items() if touched_by(effects, proxy, generated)
        }

    def _generate(self, item: Round, proxy: Proxy) -> None:
        """Generate one proxy of a round."""
        self.beat.progress()
        generated = self._connected.get(proxy)
        if generated is None:
            return  # it went meanwhile
        problem = generated.problem
        try:
            snapshot = self._snapshot_of(proxy, generated, item.views)
        except NotPrepared as missing:
            self._unprepared.setdefault(missing.key, set()).add(proxy)
            self._preparer.submit(missing.key, missing.work, missing.plugin)
            return
        finally:
            self._prepared.discard(proxy)
        if generated.problem not in (problem, ""):
            generated.made = item.number
        if any(touched_by(effects, proxy, generated) for effects in item.later):
            self._want(proxy)
        if snapshot is not None and snapshot != generated.snapshot:
            target = item.afterwards if snapshot is EMPTY else item.at_once
            target[proxy] = snapshot

    def _snapshot_of(self, proxy: Proxy, known: Generated, views: MeshViews) -> Snapshot | None:
        """The proxy's snapshot now; ``None`` if it should keep what it has."""
        context = views.mesh(proxy.mesh)
        if proxy.name not in context.dataplanes:
            return EMPTY if known.snapshot or views.was_deleted(*proxy.id) else None
        found = self.maker.generate(proxy, views, waits=proxy not in self._prepared)
        known.tag_sets = found.tag_sets
        known.services = found.services | known.services if found.problem else found.services
        known.kinds = found.kinds | known.kinds if found.problem else found.kinds
        self._note_warnings(proxy, known, found.warnings)
        if found.problem:
            self._note_failure(proxy, known, found.problem)
        elif found.snapshot is not None:
            self.work.generated += 1
            if known.problem:
                known.problem = ""
                self._report(proxy, "")
        return found.snapshot

    def _note_warnings(self, proxy: Proxy, known: Generated, warnings: tuple[str, ...]) -> None:
        for text in warnings:
            if text not in known.warnings:
                _log.info("a proxy does not get everything", proxy=str(proxy), warning=text)
        known.warnings = warnings

    def _note_failure(self, proxy: Proxy, generated: Generated, problem: str) -> None:
        self.work.failures += 1
        if problem != generated.problem:
            _log.error("a proxy keeps its last configuration", proxy=str(proxy), problem=problem)
            self._report(proxy, problem)
        generated.problem = problem
