"""Long answers: packed as they are made, and unpacked as their client takes them.

A client that asks for a long list and reads none of it so costs a twentieth of the list's size, and no thread; what all
of them together cost is bounded.
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kuma_core.errors import Busy

WHOLE_BYTES = 64 * 1024
"""An answer of up to this size stays as it is."""

PACKED_BYTES = 32 * 1024 * 1024
"""How many bytes all answers that are on their way may have together, packed."""

_STEP = 128 * 1024
"""How many bytes are unpacked at once."""

TOO_MANY = "too many long answers are on their way to clients that read slowly; try again in a few seconds"


class Room:
    """A number of bytes that several threads take from and give back to."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """How many bytes nobody has taken."""
        return self._left

    def take(self, size: int) -> None:
        """Take some bytes; raises ``Busy`` if there are not so many."""
        with self._lock:
            if size > self._left:
                raise Busy(TOO_MANY)
            self._left -= size

    def give(self, size: int) -> None:
        """Give some bytes back."""
        with self._lock:
            self._left += size


ROOM = Room(PACKED_BYTES)
"""What all HTTP servers of this process share."""


class Packed:
    """A body that is packed in memory. ``peek`` and ``skip``, or ``read``, take it from its beginning; ``len`` is how
    many bytes are left. ``close`` gives its room back, and so does its end.
    """

    def __init__(self, pieces: Iterable[bytes], room: Room = ROOM) -> None:
        """Raises ``Busy`` if there is no room, and what ``pieces`` raises."""
        self._room, self._taken, self._length = room, 0, 0
        self._parts: deque[bytes] = deque()
        self._unpacker, self._ready = zlib.decompressobj(), b""
        packer = zlib.compressobj(1)
        for piece in pieces:
            self._length += len(piece)
            self._keep(packer.compress(piece))
        self._keep(packer.flush())

    def _keep(self, part: bytes) -> None:
        if part:
            self._room.take(len(part))
            self._taken += len(part)
            self._parts.append(part)

    def __len__(self) -> int:
        return self._length

    def peek(self, size: int) -> bytes:
        """The next bytes, up to ``size`` of them; empty at the end alone."""
        while not self._ready and self._length:
            given = self._unpacker.unconsumed_tail or self._next_part()
            self._ready = self._unpacker.decompress(given, _STEP) if given else self._unpacker.flush()
        return self._ready[:size]

    def _next_part(self) -> bytes:
        if not self._parts:
            return b""
        part = self._parts.popleft()
        self._room.give(len(part))
        self._taken -= len(part)
        return part

    def skip(self, size: int) -> None:
        """Leave out the next bytes, no more than ``peek`` showed."""
        self._ready = self._ready[size:]
        self._length -= size

    def read(self, size: int | None = -1, /) -> bytes:
        """Take the next bytes, up to ``size`` of them; all that are left if it is negative."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_STEP), b""))
        found = self.peek(size)
        self.skip(len(found))
        return found

    def close(self) -> None:
        """Forget what is left."""
        self._parts.clear()
        self._ready, self._length = b"", 0
        self._room.give(self._taken)
        self._taken = 0

    __del__ = close


def packed_if_long(pieces: Iterable[bytes], room: Room = ROOM) -> bytes | Packed:
    """The body that the pieces make, packed if it is long; raises ``Busy`` if there is no room for it."""
    rest, first, size = iter(pieces), [], 0
    for piece in rest:
        first.append(piece)
        size += len(piece)
        if size > WHOLE_BYTES:
            return Packed(_chained(first, rest), room)
    return b"".join(first)


def _chained(first: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    yield from first
    first.clear()
    yield from rest


LONG_ITEMS = 500
"""A list of more items than that is a long one."""


class Turns:
    """Some long lists are made at once, a few wait for their turn, and more are refused: the rest of the workers is for
    what is short."""

    def __init__(self, at_once: int = 2, waiting: int = 2, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._places = threading.BoundedSemaphore(at_once + waiting)
        self._turns = threading.BoundedSemaphore(at_once)

    @contextmanager
    def turn(self, items: int) -> Iterator[None]:
        """Wait until a list of so many items may be made; raises ``Busy``."""
        if items <= LONG_ITEMS:
            yield
            return
        if not self._places.acquire(blocking=False):
            raise Busy(
                "too many long lists are being made; try again in a few seconds, or ask for pages with ?size="
            )
        try:
            if not self._turns.acquire(timeout=self._seconds):
                raise Busy(
                    "other long lists take their time; try again in a few seconds, or ask for pages with ?size="
                )
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()
