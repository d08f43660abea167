"""A forwarder of access logs that runs in the test's process, and servers that get what it forwards."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kuma_core.dataplane.access_log import Forwarder, make_pipe
from kuma_core.dataplane.log import Log


def record(address: str, text: str) -> bytes:
    return f"\x1e{address}\x1f{text}".encode()


class Memory(Log):
    """A log that is kept."""

    def __init__(self) -> None:
        super().__init__("info")
        self.told: list[tuple[str, dict[str, object]]] = []

    def info(self, message: str, **values: object) -> None:
        self.told.append((message, values))

    def about(self, address: str) -> list[str]:
        return [message.split(",")[0] for message, values in self.told if values.get("sink") == address]


class Server:
    """A server on loopback; ``reads`` False: it accepts, in the kernel's name, and never reads."""

    def __init__(self, port: int = 0, *, reads: bool = True) -> None:
        self.received = b""
        self.connections = 0
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096 if not reads else 65536)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(4)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        if reads:
            self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._client, _ = self._listener.accept()
                self.connections += 1
                with self._client as client:
                    while data := client.recv(65536):
                        self.received += data

    def close(self) -> None:
        for end in (self._listener, self._client):
            with suppress(OSError):
                if end:
                    end.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._thread.ident:
            self._thread.join(5)


class Running:
    """A forwarder that reads, and the end of the pipe that Envoy would have."""

    def __init__(self, directory: Path, confined: Sequence[str] = ()) -> None:
        self.log = Memory()
        self.path = make_pipe(str(directory))
        self.forwarder = Forwarder(self.path, self.log, confined)
        self._pipe = os.open(self.path, os.O_WRONLY)
        self.forwarder.start()

    def write(self, data: bytes) -> None:
        """As Envoy writes: it waits while the pipe is full."""
        while data:
            data = data[os.write(self._pipe, data) :]

    def close(self) -> None:
        os.close(self._pipe)
        self.forwarder.finish()
