"""Many clients that are slow: each drips a byte a second, or sends nothing, reads nothing, and comes again when it is
thrown out."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Slow:
    """What a client sends first, and then every second."""

    first: bytes
    drip: bytes = b""


HEAD = Slow(b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"a")
BLANK = Slow(b"\r\n\r\n", b"\r\n")
BODY = Slow(
    b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{", b" "
)
CHUNKS = Slow(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"a")
SILENT = Slow(b"")


def get(path: str) -> Slow:
    """A client that asks, and reads nothing."""
    return Slow(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())


@dataclass
class Crowd:
    """The clients of one port."""

    port: int
    kinds: Sequence[Slow]
    clients: list[socket.socket | None] = field(default_factory=list)
    thrown_out: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> socket.socket | None:
        """A new client; nothing if it cannot connect."""
        try:
            client = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        except OSError:
            return None
        client.setblocking(False)
        with suppress(OSError):
            client.send(self.kinds[number % len(self.kinds)].first)
        return client

    def drip(self) -> None:
        """Send a byte from each, every second."""
        while not self.stop.wait(1):
            for number, client in enumerate(self.clients):
                if self.stop.is_set():
                    return
                self._one(number, client)

    def _one(self, number: int, client: socket.socket | None) -> None:
        drip = self.kinds[number % len(self.kinds)].drip
        try:
            if client is None:
                self.clients[number] = self.client(number)
            elif drip:
                client.send(drip)
        except BlockingIOError:
            pass
        except OSError:
            assert client is not None
            client.close()
            self.thrown_out += 1
            self.clients[number] = self.client(number)


@contextmanager
def crowd(port: int, *kinds: Slow, size: int = 1005) -> Iterator[Crowd]:
    """So many slow clients at a port, as long as the context is open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    found = Crowd(port, kinds)
    found.clients = [found.client(number) for number in range(size)]
    thread = threading.Thread(target=found.drip, name="crowd", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.stop.set()
        thread.join(timeout=30)
        for client in found.clients:
            if client is not None:
                client.close()
        assert not thread.is_alive()


def memory(pid: int) -> int:
    """What a process has in memory, in MB."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 2**20
