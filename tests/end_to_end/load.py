"""Loads of requests that keep count of every answer and every failure."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Self

from kuma_core.testing.ports import free_port

from .support import fetch


class Workers:
    """Threads that work from the beginning of a ``with`` block to its end, when ``_stopped`` is set."""

    def __init__(self, count: int) -> None:
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(count)]

    def _run(self, number: int) -> None:
        """The work of one thread, until ``_stopped`` is set."""
        raise NotImplementedError  # each kind of load has its own

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=15)


class SteadyLoad(Workers):
    """So many requests a second on a port, each on a connection of its own, which between Envoys may be a handshake.

    ``answered`` are the seconds that each good answer took, ``failures`` what went wrong with the others.
    """

    WORKERS = 10

    def __init__(self, port: int, per_second: float) -> None:
        self.answered: list[float] = []
        self.failures: list[str] = []
        self._port, self._period = port, self.WORKERS / per_second
        self._began = self._ended = 0.0
        super().__init__(self.WORKERS)

    @property
    def count(self) -> int:
        """How many requests had their answer, good or bad."""
        return len(self.answered) + len(self.failures)

    @property
    def per_second(self) -> float:
        """How many it were in each second, once it has ended."""
        return self.count / (self._ended - self._began)

    def summary(self) -> dict[str, float]:
        """What is to be told of it, once it has ended."""
        return {
            "seconds": round(self._ended - self._began, 1),
            "answered": len(self.answered),
            "failed": len(self.failures),
            "rate": round(self.per_second, 1),
            "slowest": round(max(self.answered), 3),
        }

    def _run(self, number: int) -> None:
        """Each worker keeps to its own timetable; one that is a second late or more does not catch up."""
        due = self._began + self._period * number / self.WORKERS
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._period, time.monotonic() - 1)
            began = time.monotonic()
            try:
                fetch(self._port)
                self.answered.append(time.monotonic() - began)
            except OSError as error:
                self.failures.append(f"{time.strftime('%T')} {type(error).__name__}: {error}")

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return super().__enter__()

    def __exit__(self, *of_an_error: object) -> None:
        super().__exit__(*of_an_error)
        self._ended = time.monotonic()


class KeptAlive(Workers):
    """As many requests as go through, on a few connections that stay open, each with many requests under way.

    ``answers`` has the good ones by who answered, ``failures`` the other status lines.
    """

    WORKERS, BATCH = 3, 20
    REQUEST = b"GET / HTTP/1.1\r\nHost: loopback\r\n\r\n"

    def __init__(self, port: int) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self._port = port
        self._lock = threading.Lock()
        super().__init__(self.WORKERS)

    def _run(self, _: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
                answers = connection.makefile("rb")
                while not self._stopped.is_set():
                    connection.sendall(self.REQUEST * self.BATCH)
                    for _ in range(self.BATCH):
                        self._note(*_answer(answers))
        except OSError as error:
            self._note(f"{type(error).__name__}: {error}", "")

    def _note(self, status: str, body: str) -> None:
        with self._lock:
            (self.answers if status == "HTTP/1.1 200 OK" else self.failures)[body or status] += 1


def _answer(answers: BinaryIO) -> tuple[str, str]:
    """The status line and the body of the next answer; raises ``OSError`` if there is none."""
    status, length = answers.readline(), 0
    if not status:
        raise OSError("the connection was closed")
    while (line := answers.readline().strip().lower()) != b"":
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return status.decode().strip(), answers.read(length).decode()


class _Answering(asyncio.Protocol):
    """Answers every request on a connection with a name."""

    def __init__(self, name: str, connections: set[asyncio.BaseTransport]) -> None:
        self._answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode()
        self._connections = connections
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._read = (self._read + data).split(b"\r\n\r\n")
        self._transport.write(self._answer * len(requests))


@contextmanager
def patient_service(name: str) -> Iterator[int]:
    """An HTTP service that answers every request with its name and keeps connections open; yields its port."""
    loop, port = asyncio.new_event_loop(), free_port()
    connections: set[asyncio.BaseTransport] = set()
    made = loop.create_server(lambda: _Answering(name, connections), "127.0.0.1", port)
    server = loop.run_until_complete(made)

    async def end() -> None:
        server.close()
        for connection in list(connections):
            connection.close()
        while connections:
            await asyncio.sleep(0.01)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        loop.close()
