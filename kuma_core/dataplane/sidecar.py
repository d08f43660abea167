"""What the sidecar of a Pod waits for: in a cluster, everything starts at once and in any order.

A control plane makes its Dataplane as soon as the Pod has an address, a moment after kuma-dp has started; the control
plane itself may come later than the first Pods. On a machine nobody makes Dataplanes but an operator, who is told at
once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from kuma_core.dataplane.control_plane import NoDataplane, Unreachable
from kuma_core.dataplane.log import Log
from kuma_core.errors import KumaError

T = TypeVar("T")

PAUSES = (0.2, 0.4, 0.8, 1.6, 3.0)
"""Seconds before it asks again; the last counts for all later times, too."""
DATAPLANE_SECONDS = 60.0
"""How long it asks for its Dataplane. Then it ends, so that ``kubectl get pods`` shows that something is wrong."""
QUIET_SECONDS = 5.0
"""How long a start may take until a warning says what is waited for."""
TOLD_AGAIN_SECONDS = 60.0


def patiently(ask: Callable[[], T], name: str, log: Log) -> T:
    """Give what ``ask`` gives, asking again while there is no control plane (without end) or no Dataplane ``name``,
    which is ``pod.namespace``, yet.

    Raises what else ``ask`` raises, and ``KumaError`` if the Dataplane does not appear within ``DATAPLANE_SECONDS``.
    """
    tell = _Tell(log)
    missing_since: float | None = None
    problem: KumaError
    attempt = 0
    while True:
        try:
            return ask()
        except Unreachable as error:
            missing_since, problem = None, error
        except NoDataplane as error:
            missing_since = time.monotonic() if missing_since is None else missing_since
            if time.monotonic() - missing_since >= DATAPLANE_SECONDS:
                raise KumaError(_missing(error, name)) from error
            problem = error
        tell(str(problem))
        time.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
        attempt += 1


def _missing(error: NoDataplane, name: str) -> str:
    """The problem in the words of all machines, with the next step of this one."""
    pod, _, namespace = name.rpartition(".")
    said = str(error).partition(": create it with")[0]
    return (
        f"{said} after {DATAPLANE_SECONDS:g} s. The control plane makes it of the Pod and the Services that select it: "
        f"'kubectl -n {namespace} describe pod {pod}' says why it does not."
    )


class _Tell:
    """Says what is waited for: in the log each time, as a warning when it takes long, and then once a minute."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._next = time.monotonic() + QUIET_SECONDS

    def __call__(self, problem: str) -> None:
        self._log.debug("asking again", reason=problem)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TOLD_AGAIN_SECONDS
            print(f"Warning: waiting for the control plane: {problem}", file=sys.stderr, flush=True)
