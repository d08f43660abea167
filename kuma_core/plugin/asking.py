"""Asks plugins questions to which somebody waits for the answer: a write of an operator's, a scrape.

A question is asked in a thread aside, so that one that hangs costs whoever waits no more than the budget, and only few
may wait at once. On the path of generation nothing is asked so, and what is asked with each request is asked straight.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from kuma_core.errors import Busy, PluginError, StoreUnavailable
from kuma_core.plugin import boundary as budgets
from kuma_core.plugin.boundary import Boundary
from kuma_core.plugin.threads import Threads

Q = TypeVar("Q")
T = TypeVar("T")

ANSWER_SECONDS = 2.0
"""How long a plugin may take to answer."""
MOST_ASKED = 4
"""How many questions one plugin may be at at once: of the workers of a server it never holds more."""
TURN_SECONDS = 0.25
"""How long a question waits for its turn."""
PASSES = (StoreUnavailable, PluginError)


class _Desk:
    """Where the questions to one plugin are asked."""

    def __init__(self, name: str) -> None:
        self.turns = threading.BoundedSemaphore(MOST_ASKED)
        self.threads = Threads(f"asks-{name}"[:60], MOST_ASKED)


class _Late(Exception):
    """The answer took more processor time than the budget."""


class Asking:
    """Asks for the kernel. Safe for use from several threads."""

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary
        self._lock = threading.Lock()
        self._desks: dict[str, _Desk] = {}

    def ask(
        self,
        plugin: str,
        what: str,
        question: Callable[[], T],
        passes: tuple[type[Exception], ...] = PASSES,
        seconds: float | None = None,
        *,
        offends: bool = True,
    ) -> T:
        """What a plugin answers; ``seconds`` is how long it may take, ``ANSWER_SECONDS`` unless given.

        Raises ``Busy`` if it takes longer, which is an offence where ``offends``, or is at too many questions already;
        else as ``Boundary.call`` does. An answer that comes too late is nobody's.
        """
        seconds = ANSWER_SECONDS if seconds is None else seconds
        desk = self._desk(plugin)
        if not desk.turns.acquire(timeout=TURN_SECONDS):
            raise Busy(f'plugin "{plugin}": {what} is at {MOST_ASKED} questions already; try again later')
        answer = desk.threads.submit(lambda: self._answer(plugin, what, question, passes))
        answer.add_done_callback(lambda _: desk.turns.release())
        return self._wait(plugin, what, answer, seconds, offends)

    def straight(
        self, plugin: str, what: str, question: Callable[[Q], T], take: Callable[[Any], T]
    ) -> Callable[[Q], T]:
        """A question that is asked with each request, in the thread of the request; ``take`` checks the answer.

        For what computes for microseconds: a thread aside costs a hundred of them. One that hangs holds whoever asks.
        Raises as ``Boundary.call`` does.
        """
        return self._boundary.guard(plugin, what, question, take)

    def _wait(self, plugin: str, what: str, answer: Future[T], seconds: float, offends: bool) -> T:
        try:
            return answer.result(seconds)
        except TimeoutError:
            if answer.done():
                raise  # the plugin's own
            said = f"{what} did not answer within {seconds:g} s"
        except _Late as error:
            said = f"{what} {error}"
        if offends:
            self._boundary.quarantine.offend(plugin, said)
        raise Busy(f'plugin "{plugin}": {said}; try again later') from None

    def _answer(
        self, plugin: str, what: str, question: Callable[[], T], passes: tuple[type[Exception], ...]
    ) -> T:
        began = time.thread_time()
        found = self._boundary.call(plugin, what, question, passes, budget=False)  # it is measured here
        spent, most = time.thread_time() - began, budgets.BUDGET_SECONDS
        if spent > most:
            raise _Late(f"took {spent:.1f} s of processor time, and may take {most:g} s")
        return found

    def _desk(self, plugin: str) -> _Desk:
        with self._lock:
            if plugin not in self._desks:
                self._desks[plugin] = _Desk(plugin)
            return self._desks[plugin]
