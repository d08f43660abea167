"""Runs the reconciler in a thread that can be given up: one that a plugin holds is left behind, and a fresh one starts.

A thread cannot be ended from outside. The one that is given up does nothing more: the boundary around the call that
holds it raises ``Abandoned`` as soon as that call ends, if it ever does, and what it made until then is delivered to
nobody. The plugin that holds it is in quarantine from then on.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import structlog

from kuma_core.lifecycle import Stop
from kuma_core.plugin.boundary import Abandoned, Call, Calls, watched
from kuma_core.plugin.quarantine import Quarantine
from kuma_core.xds.reconciler import Reconciler

_log = structlog.get_logger("xds-reconciler")

TICK_SECONDS = 1.0
MOST_TICKS = 5
"""A call that is seen so often in a row holds the thread. Counted in looks, not by the clock: a machine that stood
still for a minute is one look."""
LATE_SECONDS, DEAD_SECONDS = 15.0, 120.0
"""After how long without progress ``/ready``, and then ``/healthy``, tells of it."""
STOP_SECONDS = 5.0


@dataclass(slots=True)
class _Shift:
    """One thread's time as the reconciler."""

    calls: Calls = field(default_factory=lambda: Calls(makes=True))
    over: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None


class _Held:
    """Which calls a thread has been in for how many looks."""

    def __init__(self) -> None:
        self._seen: tuple[Call, ...] = ()
        self._ticks: list[int] = []

    def look(self, calls: Calls) -> Call | None:
        """The innermost call that lasts too long, if there is one."""
        now = tuple(calls)
        same = 0
        while same < min(len(now), len(self._seen)) and now[same] is self._seen[same]:
            same += 1
        self._ticks = [*(ticks + 1 for ticks in self._ticks[:same]), *([1] * (len(now) - same))]
        self._seen = now
        held = [call for call, ticks in zip(now, self._ticks, strict=True) if ticks > MOST_TICKS]
        return held[-1] if held else None


class Supervised:
    """The component that keeps a reconciler at work. It sleeps while the reconciler does."""

    name = "xds-reconciler"
    leader_only = False
    restartable = False  # what its own code raises is a mistake of ours, and what it was at is lost

    def __init__(self, reconciler: Reconciler, quarantine: Quarantine) -> None:
        self._reconciler, self._quarantine = reconciler, quarantine
        self.abandoned = 0
        """How many threads were given up."""
        quarantine.listen(lambda plugin: reconciler.renew())

    def run(self, stop: Stop) -> None:
        """Work until ``stop`` is set; raises what the reconciler's own code raised."""
        stop.on_set(self._reconciler.busy.set)
        while not stop.is_set():
            shift = _Shift()
            thread = threading.Thread(
                target=self._work, args=(shift, stop), name=f"{self.name}-{self.abandoned}", daemon=True
            )
            thread.start()
            self._watch(shift, stop)
            if stop.is_set():
                thread.join(STOP_SECONDS)
            if shift.failure is not None:
                raise shift.failure

    def _work(self, shift: _Shift, stop: Stop) -> None:
        try:
            with watched(shift.calls):
                self._reconciler.take_over()
                self._reconciler.run(stop)
        except Abandoned:
            _log.info("a thread that was given up has ended")
        except BaseException as error:  # noqa: BLE001 - raised again in the component's thread
            shift.failure = error
        finally:
            shift.over.set()
            self._reconciler.busy.set()

    def _watch(self, shift: _Shift, stop: Stop) -> None:
        """Return when the shift is over, was given up, or is to stop."""
        busy = self._reconciler.busy
        while not shift.over.is_set() and not stop.is_set():
            busy.wait()
            busy.clear()
            held = _Held()
            while self._reconciler.beat.at_work() and not shift.over.is_set():
                if stop.wait(TICK_SECONDS):
                    return
                call = held.look(shift.calls)
                if call is not None and self._give_up(shift, call):
                    return

    def _give_up(self, shift: _Shift, call: Call) -> bool:
        """Leave the thread to the call that holds it; not if the call has just ended by itself."""
        if not shift.calls.give_up(call):
            return False  # and if the thread saw the mark, its shift is over, and the next one begins
        self.abandoned += 1
        _log.error(
            "the thread that configures proxies is held by a plugin; a fresh one goes on without it",
            plugin=call.plugin,
            call=call.what,
        )
        self._quarantine.bar(call.plugin, f"{call.what} did not come back")
        return True

    def held_elsewhere(self, call: Call) -> None:
        """A thread beside the reconciler's was given up for a call into a plugin."""
        self._quarantine.bar(call.plugin, f"{call.what} did not come back")

    def problem(self) -> str:
        """Why the reconciler makes no progress, for ``/ready``; empty if all is well."""
        return self._told(LATE_SECONDS, self._reconciler.beat.silent(time.monotonic()))

    def illness(self) -> str:
        """What only a restart helps against, for ``/healthy``. A store that does not answer is no such thing."""
        beat = self._reconciler.beat
        return "" if beat.reading else self._told(DEAD_SECONDS, beat.silent(time.monotonic()))

    def _told(self, most: float, silent: float) -> str:
        if silent <= most:
            return ""
        return f"the thread that configures proxies has made no progress for {silent:.0f} s"
