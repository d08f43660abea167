"""Access logs to a server: one TCP connection while there is one."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from kuma_core.dataplane.sink import SEND_SECONDS, Sink, Tell

if TYPE_CHECKING:
    from socket import socket

CONNECT_SECONDS = 5.0


class TcpSink(Sink):
    """Delivers records to ``address`` (``host:port``), over one connection."""

    def __init__(self, address: str, tell: Tell) -> None:
        super().__init__(address, tell)
        self._connection: socket | None = None

    def _open(self) -> None:
        if self._connection is not None and _is_closed(self._connection):
            self._close()
        if self._connection is None:
            from socket import create_connection

            host, _, port = self.address.rpartition(":")
            self._connection = create_connection((host.strip("[]"), port), CONNECT_SECONDS)
            self._connection.settimeout(SEND_SECONDS)

    def _write(self, data: bytes) -> None:
        """Send everything; raises ``TimeoutError`` if not a byte of it is taken for 10 seconds."""
        assert self._connection is not None
        rest = memoryview(data)
        while rest:
            rest = rest[self._connection.send(rest) :]

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_closed(connection: socket) -> bool:
    """Whether the other side hung up; what it says is read and forgotten."""
    while select.select([connection], [], [], 0)[0]:
        try:
            if not connection.recv(4096):
                return True
        except OSError:
            return True
    return False
