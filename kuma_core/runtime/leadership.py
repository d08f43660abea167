"""Runs the ``leader_only`` components on one control plane at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog

from kuma_core.builtin.cluster.contract import LeaderLease
from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.plugin.contract import Component
from kuma_core.resources.fencing import Mandate
from kuma_core.runtime.components import Components

_log = structlog.get_logger("leadership")

RENEW_SECONDS = 5.0
MARGIN_SECONDS = 5.0
"""How long before the end of the lease a leader that cannot keep it resigns."""
RETRY_SECONDS = 1.0
LOOK_SECONDS = 0.2
"""How often it looks at the time while the store does not answer."""
PARTING_SECONDS = 5.0
"""How long, at the end, all parts together may take to stop before another one may lead."""


class Leader:
    """Whether this control plane leads; all features may look, the component below alone writes."""

    leads = False


class Leadership:
    """A component that tries to lead, and runs ``parts`` while it does.

    Each time it leads, its parts write under a mandate of their own, which ends with it: a part that is still inside
    the store then, because the store hangs, writes nothing more, and is started again once it has come out. ``failed``
    is called with the error of a part that ended and cannot be started again; ``ends`` counts those that ended.
    """

    name = "leadership"
    leader_only = False

    def __init__(
        self,
        leader: Leader,
        lease: LeaderLease,
        parts: Sequence[Component],
        failed: Callable[[KumaError], None],
        ends: Counter[str] | None = None,
    ) -> None:
        self._leader = leader
        self._lease = lease
        self._parts = list(parts)
        self._mandate: Mandate | None = None
        self.components = Components(failed, ends)

    @property
    def leads(self) -> bool:
        """Whether this control plane leads."""
        return self._leader.leads

    def run(self, stop: Stop) -> None:
        """Try until ``stop`` is set; then stop leading, so that another one may at once."""
        with ThreadPoolExecutor(1, "lease") as worker:
            try:
                while not stop.is_set():
                    stop.wait(self._turn(worker, stop))
            finally:
                self._resign("it stops")
                stubborn = self.components.stop(within=PARTING_SECONDS / max(1, len(self._parts)))
            if not stubborn:
                worker.submit(self._give_back)

    def _turn(self, worker: ThreadPoolExecutor, stop: Stop) -> float:
        """Ask once for the lease, and act on the answer; how long to wait before the next time, in seconds."""
        held = self._answer(worker.submit(self._lease.hold), stop)
        if held:
            self._lead()
        elif held is False:
            self._resign("another one holds the lease")
        else:
            self._resign_in_time()
        return RETRY_SECONDS if held is None else RENEW_SECONDS

    def _answer(self, asked: Future[bool], stop: Stop) -> bool | None:
        """Whether we hold the lease, or ``None`` if the store does not say.

        A store that does not answer must not keep us from resigning in time.
        """
        while not wait([asked], timeout=LOOK_SECONDS).done:
            self._resign_in_time()
            if stop.is_set():
                return None
        try:
            return asked.result()
        except KumaError as error:
            _log.warning("the lease of the leader cannot be looked at", problem=str(error))
            return None

    def _resign_in_time(self) -> None:
        if self.leads and self._lease.left() < MARGIN_SECONDS:
            self._resign("the lease cannot be kept")

    def _lead(self) -> None:
        """Lead, or go on: with the parts that are not at work, be it since the last time."""
        if self._mandate and self._mandate.seen > self._mandate.term:
            self._lease.outgrow(self._mandate.seen)
            self._resign(f"something was written for a later term, {self._mandate.seen}")
            return
        if self._mandate is None or self._mandate.term != self._lease.term:
            self._resign("it leads for another term")
            self._mandate = Mandate(self._lease.term, self._lease.left, self._lease.newest_term)
            self._leader.leads = True
            _log.info(
                "this control plane leads", term=self._lease.term, parts=[it.name for it in self._parts]
            )
        busy = self.components.at_work()
        self.components.start((it for it in self._parts if it.name not in busy), self._mandate.acting)

    def _resign(self, why: str) -> None:
        """Stop leading. Nobody waits for the parts: what they still try to write is refused."""
        if self._mandate is None:
            return
        self._mandate.end()
        self._mandate = None
        self._leader.leads = False
        self.components.tell_to_stop()
        _log.info("this control plane leads no more", why=why)

    def _give_back(self) -> None:
        try:
            self._lease.give_back()
        except KumaError as error:
            _log.info("the lease of the leader runs out by itself", problem=str(error))
