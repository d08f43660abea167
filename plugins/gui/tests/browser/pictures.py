"""Makes the pictures of a browser small: they have few colours, and the browser packs them in haste."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COARSE = (0xF8, 0xF0)
"""Which bits of a colour are kept: letters have grey edges in very many shades."""


def smaller(png: bytes) -> bytes:
    """The same picture with a palette of at most 256 colours, or as it is if it has more."""
    chunks = dict(_chunks(png))
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    size = {2: 3, 6: 4}[colour]
    assert depth == 8, "browsers give eight bits"
    rows = list(_rows(zlib.decompress(chunks[b"IDAT"]), width * size, size))
    for kept in COARSE:
        pixels = [_pixels(row, size, kept) for row in rows]
        colours = sorted({value for row in pixels for value in row})
        if len(colours) <= 256:
            return _with_palette(width, height, colours, pixels)
    return png


def _pixels(row: bytearray, size: int, kept: int) -> list[bytes]:
    """The colours of a row, each rounded; white stays white."""
    half = (256 - kept) // 2
    table = bytes(255 if byte > 255 - half else byte + half & kept for byte in range(256))
    return [bytes(row[n : n + 3]).translate(table) for n in range(0, len(row), size)]


def _with_palette(width: int, height: int, colours: list[bytes], pixels: list[list[bytes]]) -> bytes:
    palette = {value: place for place, value in enumerate(colours)}
    data = b"".join(b"\0" + bytes(palette[value] for value in row) for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [
        (b"IHDR", header),
        (b"PLTE", b"".join(colours)),
        (b"IDAT", zlib.compress(data, 9)),
        (b"IEND", b""),
    ]
    return SIGNATURE + b"".join(_chunk(name, body) for name, body in parts)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place, data = len(SIGNATURE), b""
    while place < len(png):
        (size,) = struct.unpack(">I", png[place : place + 4])
        name, body = png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
        data += body if name == b"IDAT" else b""
        yield name, data if name == b"IDAT" else body
        place += size + 12


def _rows(data: bytes, length: int, size: int) -> Iterator[bytearray]:
    """The rows of a picture, without the filters by which a packer foretells them."""
    above = bytearray(length)
    for place in range(0, len(data), length + 1):
        row = bytearray(data[place + 1 : place + 1 + length])
        _unfilter(data[place], row, above, size)
        yield row
        above = row


def _unfilter(kind: int, row: bytearray, above: bytearray, size: int) -> None:
    for n in range(len(row)):
        left, corner = (row[n - size], above[n - size]) if n >= size else (0, 0)
        foretold = (0, left, above[n], (left + above[n]) // 2, _paeth(left, above[n], corner))[kind]
        row[n] = (row[n] + foretold) & 255


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
