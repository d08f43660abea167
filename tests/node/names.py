"""A name server for Pods: what a cluster has CoreDNS for, as far as tests need it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

HEADER = struct.Struct("!HHHHHH")
ANSWERED, NO_SUCH_NAME, FAILED = 0x8580, 0x8583, 0x8582
"""Flags of an answer with authority: fine, NXDOMAIN, SERVFAIL."""
A, IN, SECONDS = 1, 1, 5


class Names(asyncio.DatagramProtocol):
    """Answers questions for IPv4 addresses; others about a name that is there have no answer, and no error."""

    def __init__(self, look_up: Callable[[str], list[str]]) -> None:
        self._look_up = look_up
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        task = asyncio.ensure_future(self._answer(data, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, address: Any) -> None:
        try:
            found: list[str] | None = await asyncio.to_thread(self._look_up, question(data)[0])
        except (LookupError, OSError):
            found = None
        self._transport.sendto(answer(data, found), address)


def question(data: bytes) -> tuple[str, int, int]:
    """The name that is asked for, the type, and where the question ends."""
    labels, place = [], HEADER.size
    while length := data[place]:
        labels.append(data[place + 1 : place + 1 + length].decode("ascii"))
        place += 1 + length
    (kind,) = struct.unpack_from("!H", data, place + 1)
    return ".".join(labels).lower(), kind, place + 5


def answer(data: bytes, found: list[str] | None) -> bytes:
    """The message for a question: ``found`` has the addresses of the name, and is None if nobody knows."""
    _, kind, end = question(data)
    (number,) = struct.unpack_from("!H", data)
    flags = FAILED if found is None else ANSWERED if found else NO_SUCH_NAME
    shown = (found or []) if kind == A else []
    records = b"".join(
        struct.pack("!HHHIH", 0xC000 | HEADER.size, A, IN, SECONDS, 4) + socket.inet_aton(item)
        for item in shown
    )
    return HEADER.pack(number, flags, 1, len(shown), 0, 0) + data[HEADER.size : end] + records
