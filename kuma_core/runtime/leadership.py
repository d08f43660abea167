"""Runs the ``leader_only`` components on one control plane at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog

from kuma_core.builtin.cluster.contract import LeaderLease
from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop
from kuma_core.plugin.contract import Component
from kuma_core.runtime.components import Components

_log = structlog.get_logger("leadership")

RENEW_SECONDS = 5.0
MARGIN_SECONDS = 5.0
"""How long before the end of the lease the leader stops its parts; they have so much time for it."""
RETRY_SECONDS = 1.0


class Leader:
    """Whether this control plane leads; all features may look, the component below alone writes."""

    leads = False


class Leadership:
    """A component that tries to lead, and runs ``parts`` while it does.

    It calls ``failed`` with the error of a part that fails or does not stop when it has to.
    """

    name = "leadership"
    leader_only = False

    def __init__(
        self,
        leader: Leader,
        lease: LeaderLease,
        parts: Sequence[Component],
        failed: Callable[[KumaError], None],
    ) -> None:
        self._leader = leader
        self._lease = lease
        self._parts = list(parts)
        self._failed = failed
        self._running = Components(failed)

    @property
    def leads(self) -> bool:
        """Whether this control plane leads."""
        return self._leader.leads

    def run(self, stop: Stop) -> None:
        """Try until ``stop`` is set; then stop leading, so that another one may at once."""
        with ThreadPoolExecutor(1, "lease") as worker:
            while not stop.is_set():
                stop.wait(self._turn(worker, stop))
            self._resign()
            worker.submit(self._give_back)

    def _turn(self, worker: ThreadPoolExecutor, stop: Stop) -> float:
        """Ask once for the lease, and act on the answer; how long to wait before the next time, in seconds."""
        held = self._answer(worker.submit(self._lease.hold), stop)
        if held:
            self._lead()
        elif held is False or self._overdue():
            self._resign()
        return RETRY_SECONDS if held is None else RENEW_SECONDS

    def _answer(self, asked: Future[bool], stop: Stop) -> bool | None:
        """Whether we hold the lease, or ``None`` if the store does not say.

        A store that does not answer must not keep us from resigning in time.
        """
        while not wait([asked], timeout=0.2).done:
            if self._overdue():
                self._resign()
            if stop.is_set():
                return None
        try:
            return asked.result()
        except Exception as error:  # noqa: BLE001 - a store plugin may raise anything
            _log.warning("the lease of the leader cannot be looked at", problem=str(error))
            return None

    def _overdue(self) -> bool:
        return self.leads and self._lease.left() < MARGIN_SECONDS

    def _lead(self) -> None:
        if not self.leads:
            self._leader.leads = True
            _log.info("this control plane leads", parts=[part.name for part in self._parts])
            self._running.start(self._parts)

    def _resign(self) -> None:
        if not self.leads:
            return
        self._leader.leads = False
        stubborn = self._running.stop(within=MARGIN_SECONDS / max(1, len(self._parts)))
        if stubborn:
            names = ", ".join(stubborn)
            self._failed(KumaError(f"{names}: still at work although another control plane may lead by now"))
        _log.info("this control plane leads no more")

    def _give_back(self) -> None:
        try:
            self._lease.give_back()
        except KumaError as error:
            _log.info("the lease of the leader runs out by itself", problem=str(error))
