"""An HTTP server as a component: one whose loop ends by itself is made anew on the same socket."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from kuma_core.errors import KumaError
from kuma_core.lifecycle import Stop


class Loop(Protocol):
    """A server that was made but does not serve yet."""

    def serve(self) -> None:
        """Serve, in this thread, until ``end`` is called."""
        ...

    def end(self) -> None:
        """Have ``serve`` return, after the requests at work; from any thread, without waiting."""
        ...


class KeptUp:
    """Serves until it is stopped. Clients that come while it is made anew wait in the queue of its socket.

    ``make`` gets a descriptor of its own each time, which may be closed.
    """

    leader_only = False

    def __init__(
        self, name: str, restartable: bool, listener: socket.socket, make: Callable[[socket.socket], Loop]
    ) -> None:
        self.name, self.restartable = name, restartable
        self._listener, self._make = listener, make

    def run(self, stop: Stop) -> None:
        """Serve until ``stop`` is set. Raises ``KumaError`` if the loop ends before."""
        with self._listener.dup() as own:
            loop = self._make(own)
            with stop.calling(loop.end):
                loop.serve()
        if not stop.is_set():
            raise KumaError("its loop ended")
