"""One child process at a time, watched together with the signals that end kuma-dp.

Everything that waits does so in ``sigwait``: no moment at which a signal is lost. What is to be done every second is
done there as well, when SIGALRM comes; only what is to be done before the end has a thread.
A child never outlives kuma-dp, not even one that was killed with SIGKILL (Linux).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from kuma_core.errors import KumaError

GRACE_SECONDS = 4.0
SECOND = 1.0
BUG_STATUS = 70  # EX_SOFTWARE of sysexits.h
_MESSAGE_BYTES = 8192  # fits into any pipe, so that writing it never has to wait for the reader
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


class Child:
    """A process that was started with ``start``.

    ``status`` is None while it runs, then its exit status, or minus the number of the signal that ended it.
    """

    def __init__(self, pid: int, messages: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self._messages = messages

    def ended(self) -> bool:
        """Whether it has ended; never waits."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def failure(self) -> str:
        """What its body said when it failed with a ``KumaError``; to be read once, after the end."""
        with open(self._messages, "rb") as pipe:
            return pipe.read().decode(errors="replace")

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if not self.ended():
            os.kill(self.pid, number)


def start(body: Callable[[], object]) -> Child:
    """Run ``body`` in a process of its own, or the program that it becomes with ``os.execv``.

    To be called from the main thread: Linux ties the child's life to the thread that made it.
    """
    # Otherwise the child has a copy of what waits in the buffers, and both print it.
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(body, parent, writer)
    os.close(writer)
    return Child(pid, reader)


def _be_child(body: Callable[[], object], parent: int, writer: int) -> NoReturn:
    status = BUG_STATUS
    try:
        _die_with(parent)
        _restore_signals()
        body()
        status = 0
    except KumaError as error:
        status = 1
        os.write(writer, str(error).encode()[:_MESSAGE_BYTES])
    except BaseException:  # noqa: BLE001 (a bug: it is printed, and told by the status)
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)  # never back into the parent's code, whatever happened


def _die_with(parent: int) -> None:
    """Let the kernel kill us when the parent dies; exec keeps that, unless the program has privileges."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it died before we had asked


def _restore_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _stopping() -> set[signal.Signals]:
    """The signals that end kuma-dp; SIGHUP is none under ``nohup``."""
    hangup = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else set()
    return {signal.SIGINT, signal.SIGTERM} | hangup


def _watched() -> set[signal.Signals]:
    return _stopping() | {signal.SIGCHLD, signal.SIGALRM}


@contextmanager
def signals_held() -> Iterator[None]:
    """From here on no signal acts by itself: each waits until ``attend`` takes it."""
    # a handler, for a signal that is ignored may be dropped although it is blocked, or its child reaped
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGALRM, lambda *_: None)  # for one that comes when nobody holds it any more
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _watched())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def attend(
    child: Child, each_second: Callable[[], None] | None = None, leave: Callable[[], None] | None = None
) -> bool:
    """Wait for the child's own end and give True, or for a signal: then end the child and give False.

    Until then ``each_second`` is called each second; it may not raise, and not take long.
    At the signal ``leave`` is called, in a thread, and waited for. Then the child gets SIGTERM and, 4 seconds later,
    SIGKILL. A second signal kills it at once and raises ``SystemExit(1)``.
    """
    if _watch(child, each_second) is None:
        return True
    if leave is not None:
        _let(leave, child)
    child.send(signal.SIGTERM)
    signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
    try:
        number = _next_event(child)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if number is not None:
        _kill(child)
    if number not in (None, signal.SIGALRM):
        raise SystemExit(1)
    return False


def _let(leave: Callable[[], None], child: Child) -> None:
    """Wait until it is done, or the child has ended by itself."""
    done = threading.Event()

    def work() -> None:
        try:
            leave()
        finally:
            done.set()
            os.kill(os.getpid(), signal.SIGALRM)

    threading.Thread(target=work, name="leaving", daemon=True).start()
    while not done.is_set() and (number := _next_event(child)) is not None:
        if number != signal.SIGALRM:
            _kill(child)
            raise SystemExit(1)
    _forget_alarm()


def _forget_alarm() -> None:
    """It came too late, and would be taken for the end of the grace."""
    if signal.SIGALRM in signal.sigpending():
        signal.sigwait({signal.SIGALRM})


def _watch(child: Child, each_second: Callable[[], None] | None) -> signal.Signals | None:
    if each_second is None:
        return _next_event(child)
    signal.setitimer(signal.ITIMER_REAL, SECOND, SECOND)
    try:
        while (number := _next_event(child)) == signal.SIGALRM:
            each_second()
        return number
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _forget_alarm()


def _next_event(child: Child) -> signal.Signals | None:
    """The next signal, or None when the child has ended.

    A signal comes first: Ctrl-C reaches the child as well, whose end is then not worth an error.
    """
    watched = _watched()
    while not child.ended() or signal.sigpending() & _stopping():
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            return signal.Signals(number)
    return None


def _kill(child: Child) -> None:
    child.send(signal.SIGKILL)
    while not child.ended():
        signal.sigwait({signal.SIGCHLD})
