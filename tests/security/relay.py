"""A network that falls silent: what it carries is lost, and nobody is told."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, suppress


class Relay:
    """Hands connections on to a port of loopback, until it behaves as a machine does that has lost its power."""

    def __init__(self, to: int, stack: ExitStack) -> None:
        self._to = to
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._open: list[socket.socket] = []
        self._is_silent = threading.Event()
        self.port: int = self._listener.getsockname()[1]
        stack.callback(self._end)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        """How many were handed on so far."""
        return len(self._open) // 2

    def fall_silent(self) -> None:
        """Keep every connection open, take new ones too, and hand nothing on any more, not even an end."""
        self._is_silent.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not self._is_silent.is_set():
                    sink.sendall(data)
            if not self._is_silent.is_set():
                sink.shutdown(socket.SHUT_WR)

    def _end(self) -> None:
        for opened in (self._listener, *self._open):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()
