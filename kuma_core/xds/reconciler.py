"""The one thread in which changes become snapshots.

Events are hints: every one of them leads to a look at the store, and what did not really change ends there.
The thread generates only connected proxies, and of those only the ones that a change can touch: their own Dataplane,
a service whose endpoints they asked for, or their mesh.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from kuma_core.errors import Busy, KumaError
from kuma_core.lifecycle import Stop
from kuma_core.policy.contract import Policy
from kuma_core.policy.matching import touches
from kuma_core.resources.contract import Change, Op
from kuma_core.specs.tags import TagPairs
from kuma_core.xds.assembly import GenerationError, assemble
from kuma_core.xds.contract import Generator, SecretServer
from kuma_core.xds.heartbeat import Heartbeat
from kuma_core.xds.memo import Memo
from kuma_core.xds.mesh_views import Effects, MeshViews
from kuma_core.xds.proxy import Proxy
from kuma_core.xds.proxy_view import TrackedView
from kuma_core.xds.snapshot import EMPTY, Snapshot

_log = structlog.get_logger("xds-reconciler")

T = TypeVar("T")

QUIET_SECONDS = 0.05
"""A burst is over when nothing came for this long."""
RETRY_SECONDS = 1.0
"""How long we wait before we read again after the store failed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A proxy opened its first stream."""

    proxy: Proxy


@dataclass(frozen=True, slots=True)
class Closed:
    """A proxy closed its last stream."""

    proxy: Proxy


@dataclass(frozen=True, slots=True)
class Question:
    """Something to look up between two passes, when the views are whole."""

    look: Callable[[MeshViews], Any]
    answer: Future[Any]


@dataclass(frozen=True, slots=True)
class Renewed:
    """What every proxy gets may be another now, although nothing in the store changed."""


Item = Change | Opened | Closed | Question | Renewed


@dataclass(frozen=True, slots=True)
class Delivery:
    """Snapshots to hand to the streams.

    ``at_once`` goes out immediately. ``afterwards`` goes out when the proxies in ``at_once`` have
    acknowledged their new endpoints, so that no proxy sends a connection to one that was just emptied.
    """

    at_once: Mapping[Proxy, Snapshot]
    afterwards: Mapping[Proxy, Snapshot]


@dataclass(slots=True)
class Generated:
    """What a proxy got last, what that depends on, and why it got nothing newer.

    ``warnings`` say what it does not get although somebody wants it to.
    """

    snapshot: Snapshot | None = None
    services: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    tag_sets: tuple[TagPairs, ...] = ()
    problem: str = ""
    warnings: tuple[str, ...] = ()


def touched_by(effects: Effects, proxy: Proxy, generated: Generated) -> bool:
    """Whether anything that changed can matter to a proxy."""
    if proxy.mesh in effects.meshes or proxy.id in effects.proxies:
        return True
    if not generated.services.isdisjoint(effects.services.get(proxy.mesh, ())):
        return True
    if any(kind in generated.kinds and mesh in (proxy.mesh, "") for kind, mesh in effects.kinds):
        return True
    return any(
        mesh == proxy.mesh and touches(policy, entry, generated.tag_sets, generated.services)
        for mesh, policy, entry in effects.policies
    )


@dataclass(slots=True)
class Work:
    """What the reconciler did so far, for the metrics."""

    passes: int = 0
    seconds: float = 0.0
    generated: int = 0
    failures: int = 0


class Reconciler:
    """Takes changes and arrivals through its inbox, and delivers snapshots.

    ``report`` learns why a proxy keeps an older configuration, ``looked`` what a batch of changes can touch, once the
    views show it.
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
    ) -> None:
        self._views = views
        self._policies = tuple(policies)
        self._generators = tuple(generators)
        self._deliver = deliver
        self._report = report
        self._looked = looked
        self._longest_burst = longest_burst_seconds
        self._inbox: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._connected: dict[Proxy, Generated] = {}
        self._dirty: set[Proxy] = set()
        self._memo = Memo()
        self._settled_at = 0.0
        self.secret_server: SecretServer | None = None
        self.work = Work()
        self.ready = Stop()
        self.beat = Heartbeat()
        self.busy = threading.Event()
        """Set whenever a pass begins; whoever watches over the thread clears it."""
        self._at_work: list[Item] = []

    # -- what other threads call

    def changed(self, change: Change) -> None:
        """Take a hint from the store's watch."""
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
        self._inbox.put(Change(Op.RESYNC))

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
        try:
            return answer.result(timeout=seconds)
        except TimeoutError:
            answer.cancel()
            raise Busy(f"the control plane was too busy to answer within {seconds:.0f} s") from None

    def connected(self, mesh: str, name: str) -> list[Proxy]:
        """The connected proxies of a Dataplane."""
        return [proxy for proxy in list(self._connected) if proxy.id == (mesh, name)]

    # -- the thread

    def take_over(self) -> None:
        """Begin as a fresh thread where another one was given up: nothing that it left half-done counts."""
        for item in self._at_work:
            if isinstance(item, Question):
                with suppress(InvalidStateError):
                    item.answer.set_exception(
                        Busy("the control plane gave up a plugin that did not come back")
                    )
        self._at_work = []
        self._dirty |= self._connected.keys()
        self.beat.rest()

    def run(self, stop: Stop) -> None:
        """Reconcile until ``stop`` is set."""
        with stop.calling(lambda: self._inbox.put(None)):
            while not stop.is_set():
                batch = self._next_batch()
                if not stop.is_set():
                    self._begin(batch)
                    self._reconcile(batch)
                    self._at_work = []
                    self.beat.rest()

    def _begin(self, batch: list[Item]) -> None:
        self._at_work = batch
        self.beat.progress()
        self.busy.set()

    def _next_batch(self) -> list[Item]:
        """Wait for something. Work on the first thing after quiet at once, and gather a burst."""
        first = self._take(RETRY_SECONDS if self._views.stale else None)
        if first is None:
            return []
        batch = [first]
        if time.monotonic() - self._settled_at < QUIET_SECONDS:
            self._gather(batch)
        while (item := self._take(0)) is not None:
            batch.append(item)
        return batch

    def _gather(self, batch: list[Item]) -> None:
        deadline = time.monotonic() + self._longest_burst
        while (left := deadline - time.monotonic()) > 0:
            item = self._take(min(QUIET_SECONDS, left))
            if item is None:
                return
            batch.append(item)

    def _take(self, timeout: float | None) -> Item | None:
        """The next item within so many seconds (``None``: whenever it comes); ``None`` also means to stop."""
        try:
            return self._inbox.get_nowait() if timeout == 0 else self._inbox.get(timeout=timeout)
        except queue.Empty:
            return None

    def _reconcile(self, batch: list[Item]) -> None:
        started = time.monotonic()
        self._note_arrivals(batch)
        if self._views.stale:  # the store failed before, and may take its time to fail again
            self._serve_from_memory()
        self.beat.reading = True
        try:
            effects = self._views.apply([item for item in batch if isinstance(item, Change)])
        except KumaError as error:
            _log.warning("the store cannot be read; proxies keep what they have", error=str(error))
            self._refuse(batch, error)
            self._serve_from_memory()
            return
        finally:
            self.beat.reading = False
        self._looked(effects)
        dirty, self._dirty = self._dirty | self._affected(effects), set()
        self._hand_over(dirty)
        self._answer(batch)
        self.work.passes += 1
        self.work.seconds += time.monotonic() - started
        self._settled_at = time.monotonic()
        self.ready.set()

    def _hand_over(self, dirty: set[Proxy]) -> None:
        delivery = self._generate(dirty)
        if delivery.at_once or delivery.afterwards:
            self._deliver(delivery)
            for proxy, snapshot in (*delivery.at_once.items(), *delivery.afterwards.items()):
                self._connected[
                    proxy
                ].snapshot = snapshot  # not before: a thread given up has delivered nothing

    def _serve_from_memory(self) -> None:
        """Give proxies that came what the views know. A proxy that they do not know waits until the store answers."""
        if self.ready.is_set():
            self._hand_over(self._dirty)
            self._dirty = {proxy for proxy in self._dirty if self._connected[proxy].snapshot is None}

    def _note_arrivals(self, batch: list[Item]) -> None:
        for item in batch:
            if isinstance(item, Opened):
                self._connected[item.proxy] = Generated()
                self._dirty.add(item.proxy)
            elif isinstance(item, Renewed):
                self._dirty |= self._connected.keys()
            elif isinstance(item, Closed):
                self._connected.pop(item.proxy, None)
                self._report(item.proxy, "")
                self._dirty.discard(item.proxy)

    def _refuse(self, batch: list[Item], error: KumaError) -> None:
        for item in batch:
            if isinstance(item, Question) and item.answer.set_running_or_notify_cancel():
                item.answer.set_exception(error)

    def _answer(self, batch: list[Item]) -> None:
        for item in batch:
            if isinstance(item, Question) and item.answer.set_running_or_notify_cancel():
                try:
                    item.answer.set_result(item.look(self._views))
                except Exception as error:  # noqa: BLE001 - handed to whoever asked
                    item.answer.set_exception(error)

    def _affected(self, effects: Effects) -> set[Proxy]:
        """The connected proxies that the effects can touch."""
        return {
            proxy for proxy, generated in self._connected.items() if touched_by(effects, proxy, generated)
        }

    def _generate(self, dirty: set[Proxy]) -> Delivery:
        at_once: dict[Proxy, Snapshot] = {}
        afterwards: dict[Proxy, Snapshot] = {}
        for proxy in sorted(dirty):
            self.beat.progress()
            generated = self._connected[proxy]
            snapshot = self._snapshot_of(proxy, generated)
            if snapshot is None or snapshot == generated.snapshot:
                continue
            target = afterwards if snapshot is EMPTY else at_once
            target[proxy] = snapshot
        return Delivery(at_once, afterwards)

    def _snapshot_of(self, proxy: Proxy, known: Generated) -> Snapshot | None:
        """The proxy's snapshot now; ``None`` if it should keep what it has."""
        context = self._views.mesh(proxy.mesh)
        if proxy.name not in context.dataplanes:
            return EMPTY if known.snapshot or self._views.was_deleted(*proxy.id) else None
        found = self.generate(proxy, self._views)
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

    def generate(self, proxy: Proxy, views: MeshViews) -> Generated:
        """What a proxy should have by these views; no snapshot if there is nothing for it, or it failed.

        For the reconciler's thread alone: call it from within ``ask``.
        """
        context = views.mesh(proxy.mesh)
        dataplane = context.dataplanes.get(proxy.name)
        if dataplane is None or context.mesh is None:
            return Generated()  # the deletion of a mesh that goes on takes its dataplanes along
        view = TrackedView(
            proxy,
            dataplane,
            context.mesh,
            context,
            views.policies(proxy.mesh),
            self._policies,
            self.secret_server,
            lambda kind: views.resources(kind, proxy.mesh),
        )
        try:
            snapshot: Snapshot | None = assemble(view, self._generators, self._memo)
            problem = ""
        except GenerationError as error:
            snapshot, problem = None, str(error)
        services, kinds = frozenset(view.services), frozenset(view.kinds)
        return Generated(snapshot, services, kinds, view.tag_sets, problem, tuple(view.warnings))

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
