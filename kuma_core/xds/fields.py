"""Reads messages that we wrote ourselves, field by field: what a client sends is read by ``server.wire``."""

from __future__ import annotations

from collections.abc import Iterator


class Fields:
    """The length-delimited fields of one message, by number."""

    def __init__(self, data: bytes) -> None:
        self._found: dict[int, list[bytes]] = {}
        for number, value in _read(data):
            self._found.setdefault(number, []).append(value)

    def all(self, number: int) -> list[bytes]:
        return self._found.get(number, [])

    def last(self, number: int) -> bytes | None:
        values = self._found.get(number)
        return values[-1] if values else None

    def text(self, number: int) -> str:
        return _text(self.last(number) or b"")

    def texts(self, number: int) -> tuple[str, ...]:
        return tuple(_text(value) for value in self.all(number))


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("a text is not UTF-8") from None


def _read(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk over a message; fields that are not length-delimited are passed over."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        wire = tag & 7
        if wire == 2:
            size, position = _varint(data, position)
            if position + size > end:
                raise ValueError("a field is longer than its message")
            yield tag >> 3, data[position : position + size]
            position += size
        elif wire == 0:
            _, position = _varint(data, position)
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire} is not used any more")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if position >= len(data):
            raise ValueError("the message ends in the middle of a number")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("a number has more than 64 bits")
