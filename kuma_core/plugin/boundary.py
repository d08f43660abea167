"""The one boundary around every call into a plugin.

Whatever a plugin raises becomes a ``PluginError`` that names the plugin and what was called; what it returns is checked
before the kernel uses it; a call that takes more than its budget is an offence, and ``Quarantine`` counts those. On the
path of generation no call changes its thread: whether one hangs is watched from outside, by ``Calls``.

What no thread survives is beyond it: a call that never lets go of the interpreter's lock, or ends the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import structlog

from kuma_core.counted import CountedLine
from kuma_core.errors import PluginError
from kuma_core.plugin.quarantine import Quarantine, Standing

_log = structlog.get_logger("plugin-boundary")

T = TypeVar("T")

BUDGET_SECONDS = 1.0
"""How much processor time of its thread one call may take; most take some microseconds."""
LONGEST_TEXT = 2000
"""How much of what a plugin raised is told."""


class Abandoned(BaseException):
    """The thread that this is raised in was given up while it was in a plugin: it ends, and touches nothing."""


class PluginFailed(PluginError):
    """A call into a plugin failed. ``said`` is what it raised, in a line; ``what`` is what was called."""

    def __init__(self, plugin: str, what: str, said: str) -> None:
        super().__init__(f'plugin "{plugin}": {what}: {said}', plugin)
        self.what, self.said = what, said


class PluginBarred(PluginFailed):
    """The plugin is in quarantine, and was not called."""


class Endless(Exception):
    """A plugin's iterator gave more than anybody could use."""


class Calls(list["Call"]):
    """The calls into plugins that one thread is in now, the outermost first.

    Another thread may read it. Once that one sets ``abandoned``, the end of each call raises ``Abandoned``.
    ``makes`` says that the thread makes what proxies get, and nothing that is only imagined.
    """

    def __init__(self, *, makes: bool = False) -> None:
        super().__init__()
        self.abandoned, self.makes = False, makes

    def give_up(self, call: Call) -> bool:
        """Leave the thread to a call that holds it; not if that has just ended by itself, and ``False`` then."""
        self.abandoned = True
        if call in tuple(self):
            return True
        self.abandoned = False
        return False


class Call:
    """One call, as long as it lasts; two are never equal. ``began`` is of the monotonic clock."""

    __slots__ = ("_of", "began")

    def __init__(self, of: Guarded) -> None:
        self._of = of
        self.began = _wall()

    @property
    def plugin(self) -> str:
        """Whose it is."""
        return self._of.plugin

    @property
    def what(self) -> str:
        """What was called."""
        return self._of.what


_wall, _processor = time.monotonic, time.thread_time
_thread = threading.local()


@contextmanager
def watched(calls: Calls) -> Iterator[None]:
    """Have what this thread calls be noted in ``calls``."""
    _thread.calls = calls
    try:
        yield
    finally:
        _thread.calls = None


def makes() -> bool:
    """Whether this thread makes what proxies get."""
    calls: Calls | None = getattr(_thread, "calls", None)
    return calls is not None and calls.makes


def told(error: BaseException) -> str:
    """What a plugin raised, in a line; even its text is the plugin's code, and may fail."""
    try:
        text = str(error)[:LONGEST_TEXT]
    except BaseException:  # noqa: BLE001 - an exception of a plugin may do anything
        text = "(its text cannot be had)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def bounded(found: Iterable[T], most: int) -> list[T]:
    """All that an iterable gives; raises ``Endless`` past ``most``."""
    values: list[T] = []
    for value in found:
        if len(values) == most:
            raise Endless(f"it gave more than {most} values")
        values.append(value)
    return values


class Boundary:
    """Calls plugins for the kernel. Safe for use from several threads."""

    def __init__(self, quarantine: Quarantine | None = None) -> None:
        self.quarantine = quarantine or Quarantine()
        self._failures = CountedLine(_log, "warning", "a plugin failed")

    def guard(
        self,
        plugin: str,
        what: str,
        function: Callable[..., Any],
        take: Callable[[Any], Any] | None = None,
        passes: tuple[type[Exception], ...] = (PluginError,),
        *,
        exact: bool = False,
    ) -> Guarded:
        """The function of a plugin behind the boundary.

        ``what`` names it in messages. ``take`` checks what it returned, and belongs to the call: for an iterator it
        gathers it. ``passes`` are errors that say by themselves what is wrong. ``exact`` measures every call in
        processor time; else the wall's clock, which costs a tenth, tells which plugins are measured so.
        """
        return Guarded(self, plugin, what, function, take, passes, exact)

    def call(
        self,
        plugin: str,
        what: str,
        function: Callable[[], T],
        passes: tuple[type[Exception], ...] = (PluginError,),
        *,
        budget: bool = True,
    ) -> T:
        """What ``function`` returns, as a call into a plugin; for calls that are rare.

        Without a ``budget`` it may take its time: where that is decided by the size of what somebody wrote.
        """
        found: T = Guarded(self, plugin, what, function, None, passes, True, budget)()
        return found

    def failed(self, plugin: str, what: str, error: BaseException) -> PluginFailed:
        """What the failure of a call becomes. The log has it once a minute, and each traceback for who looks for it."""
        quarantine = self.quarantine
        quarantine.failed(plugin, what)
        said = told(error)
        if isinstance(error, Endless):
            said = str(error)
            quarantine.offend(plugin, f"{what}: {said}")
        self._failures(f"{plugin} {what}", plugin=plugin, what=what, problem=said)
        with suppress(BaseException):  # to show a traceback asks the plugin's exception for its text
            _log.debug("a call into a plugin failed", plugin=plugin, what=what, problem=said, exc_info=error)
        return PluginFailed(plugin, what, said)


class Guarded:
    """A function of a plugin behind the boundary; see ``Boundary.guard``. Equal to itself alone, as functions are."""

    __slots__ = (
        "_boundary",
        "_budget",
        "_exact",
        "_function",
        "_passes",
        "_standing",
        "_take",
        "plugin",
        "what",
    )

    def __init__(
        self,
        boundary: Boundary,
        plugin: str,
        what: str,
        function: Callable[..., Any],
        take: Callable[[Any], Any] | None,
        passes: tuple[type[Exception], ...],
        exact: bool,
        budget: bool = True,
    ) -> None:
        self.plugin, self.what = plugin, what
        self._boundary, self._function, self._take = boundary, function, take
        self._passes, self._exact, self._budget = passes, exact and budget, budget
        self._standing: Standing = boundary.quarantine.standing(plugin)

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns; raises ``PluginFailed``, or ``PluginBarred`` without calling it."""
        standing = self._standing
        if standing.barred:
            raise PluginBarred(self.plugin, self.what, f"the plugin is in quarantine: {standing.barred}")
        calls: Calls | None = getattr(_thread, "calls", None)
        if calls is not None:
            calls.append(Call(self))
        exact = self._exact or standing.measured
        clock = _processor if exact else _wall
        began = clock()
        try:
            found = self._function(*arguments)
            if self._take is not None:
                found = self._take(found)
        except BaseException as error:
            self._leave(calls, clock() - began, exact)
            if isinstance(error, (Abandoned, *self._passes)):
                raise
            raise self._boundary.failed(self.plugin, self.what, error) from error
        spent = clock() - began
        if calls is not None or spent > BUDGET_SECONDS:
            self._leave(calls, spent, exact)
        return found

    def _leave(self, calls: Calls | None, spent: float, exact: bool) -> None:
        """The call is over, however it ended; a thread that was given up in the meantime ends here."""
        if calls is not None:
            calls.pop()
            if calls.abandoned:
                raise Abandoned
            if not calls.makes:
                return  # a dry run of whatever somebody made up: that a large one takes long is no plugin's fault
        if spent > BUDGET_SECONDS and self._budget:
            self._overrun(spent, exact)

    def _overrun(self, spent: float, exact: bool) -> None:
        """A call took too long: an offence in processor time, and a reason to look closer on the wall's clock."""
        if exact:
            text = f"{self.what} took {spent:.1f} s of processor time, and may take {BUDGET_SECONDS:g} s"
            self._boundary.quarantine.offend(self.plugin, text)
        else:
            self._standing.measured = True
