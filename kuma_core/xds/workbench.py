"""Long questions, answered beside the reconciler: by one thread, each question in turn, and only so many at once.

One thread, because Python runs one at a time anyway: more of them would only take more turns from the reconciler.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from kuma_core.errors import Busy, KumaError
from kuma_core.plugin.boundary import Abandoned, Call, Calls, told, watched

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work in steps of some milliseconds; what it returns is the answer."""

SLICE_SECONDS = 0.02
HELD_SECONDS = 5.0
"""A single call into a plugin that lasts longer holds the thread."""
MOST_JOBS = 6
"""Each has a worker of the REST API wait, and some of those are for others."""


@dataclass(frozen=True, slots=True)
class _Job:
    steps: Steps[Any]
    answer: Future[Any]


class Workbench:
    """Safe to use from any thread; its own thread is there only while there is work."""

    def __init__(
        self,
        most: int = MOST_JOBS,
        pause: Callable[[], object] = lambda: None,
        held: Callable[[Call], object] = lambda call: None,
    ) -> None:
        """``pause`` is called between two steps: whoever is more important may go first. ``held`` is called with the
        call into a plugin for which the thread was given up."""
        self._held, self._calls = held, Calls()
        self._most, self._pause = most, pause
        self._lock = threading.Lock()
        self._jobs: deque[_Job] = deque()
        self._count = 0

    def do(self, steps: Steps[T], seconds: float) -> T:
        """The answer of some work.

        Raises what the work raises, and ``Busy`` if there is too much to do already, or no answer within the time.
        """
        job = _Job(steps, Future())
        self._take(job)
        try:
            found: T = job.answer.result(timeout=seconds)
            return found
        except TimeoutError:
            job.answer.cancel()
            self._give_up_the_held()
            raise Busy(f"the control plane was too busy to answer within {seconds:.0f} s") from None

    def _take(self, job: _Job) -> None:
        with self._lock:
            if self._count >= self._most:
                raise Busy(
                    f"{self._most} such questions are being answered already; ask again in some seconds"
                )
            self._count += 1
            self._jobs.append(job)
            if self._count > 1:
                return
        self._start()

    def _start(self) -> None:
        self._calls = Calls()
        threading.Thread(target=self._run, args=(self._calls,), name="xds-preview", daemon=True).start()

    def _give_up_the_held(self) -> None:
        """Go on in a fresh thread if a call into a plugin holds this one; its job waits for nobody any more."""
        with self._lock:
            calls, now = self._calls, time.monotonic()
            held = [call for call in tuple(calls) if now - call.began > HELD_SECONDS]
            if calls.abandoned or not held or not calls.give_up(held[-1]):
                return
            self._count -= 1
            if self._count:
                self._start()
        self._held(held[-1])

    def _run(self, calls: Calls) -> None:
        with suppress(Abandoned), watched(calls):
            self._work()

    def _work(self) -> None:
        while True:
            job = self._jobs.popleft()
            if self._advance(job):
                self._jobs.append(job)
                continue
            with self._lock:
                self._count -= 1
                if not self._count:
                    return

    def _advance(self, job: _Job) -> bool:
        """Give a job its slice; whether there is more of it to do."""
        until = time.monotonic() + SLICE_SECONDS
        try:
            while time.monotonic() < until and not job.answer.cancelled():
                next(job.steps)
                self._pause()
        except StopIteration as end:
            return _settle(job, job.answer.set_result, end.value)
        except Abandoned:
            raise
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            return _settle(job, job.answer.set_exception, error)
        except BaseException as error:  # noqa: BLE001 - a plugin's; it must not end this thread
            return _settle(job, job.answer.set_exception, KumaError(f"a plugin raised {told(error)}"))
        if job.answer.cancelled():
            job.steps.close()
        return not job.answer.cancelled()


def _settle(job: _Job, tell: Callable[[Any], None], answer: object) -> bool:
    if job.answer.set_running_or_notify_cancel():
        tell(answer)
    return False
