"""From our network into that of a machine, and names in it.

A thread enters the network of the machine for good. What it listens on was made outside, what it connects to is inside.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from .names import Names

T = TypeVar("T")
CLONE_NEWNET = 0x40000000


class Door:
    """Connections into the network of a process."""

    def __init__(self, pid: int) -> None:
        self._pid, self._loop = pid, asyncio.new_event_loop()
        self._entered: Exception | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server | asyncio.DatagramTransport] = []

    def start(self) -> None:
        """Enter the network."""
        self._thread.start()
        self._ready.wait()
        if self._entered:
            raise self._entered

    def end(self) -> None:
        """Close all connections, and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def open(self, port: int, address: str, target: int) -> None:
        """Connections to a port of loopback become some to this address of the machine."""
        listener = socket.create_server(("127.0.0.1", port))
        listener.setblocking(False)

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._pass_on(reader, writer, address, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._servers.append(self._call(lambda: asyncio.start_server(accept, sock=listener)))

    def answer_names(self, address: str, look_up: Callable[[str], list[str]]) -> None:
        """Answer questions for names by UDP at port 53 of this address."""
        place = (address, 53)
        made = self._call(
            lambda: self._loop.create_datagram_endpoint(lambda: Names(look_up), local_addr=place)
        )
        self._servers.append(made[0])

    def _call(self, begin: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(begin(), self._loop).result(60)

    def _run(self) -> None:
        try:
            _enter(Path(f"/proc/{self._pid}/ns/net"))
        except OSError as error:
            self._entered = error
            return
        finally:
            self._ready.set()
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            for server in self._servers:
                server.close()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, port: int
    ) -> None:
        try:
            there, back = await asyncio.open_connection(address, port)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            back.close()
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _enter(namespace: Path) -> None:
    """Put the calling thread into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(namespace, os.O_RDONLY)
    try:
        if libc.setns(handle, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, f"{os.strerror(number)}: {namespace}")
    finally:
        os.close(handle)
