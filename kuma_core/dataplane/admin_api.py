"""Envoy's admin API, asked from beside it: short questions, answered within half a second or not at all.

No library of HTTP: each data plane would pay its memory for as long as it lives.
"""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import suppress

ANSWER_SECONDS = 0.5
LARGEST_ANSWER = 16 * 1024
_LARGEST_FILE = 4096


def ask(address_file: str, path: str, method: str = "GET", limit: int = LARGEST_ANSWER) -> bytes | None:
    """What Envoy answers, whose address it wrote into a file itself; ``None`` without a good answer.

    What is longer than ``limit`` is cut off.
    """
    question = f"{method} {path} HTTP/1.1\r\nHost: kuma-dp\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    head, _, body = _exchange(read_line(address_file), question.encode(), limit).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        return None
    return _joined(body) if b"\r\ntransfer-encoding: chunked" in head.lower() else body


def counted(answer: bytes | None, pattern: re.Pattern[bytes]) -> dict[str, int] | None:
    """The statistics in an answer that a pattern finds, which has two groups: a name and a number."""
    return None if answer is None else {name.decode(): int(count) for name, count in pattern.findall(answer)}


def read_line(path: str) -> str:
    """What is in a small file; nothing if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read(_LARGEST_FILE)).strip()
    except OSError:
        return ""


def _joined(body: bytes) -> bytes:
    """The chunks of an answer, as far as they came."""
    made = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        try:
            length = int(size.split(b";")[0], 16)
        except ValueError:
            break
        made += rest[:length]
        body = rest[length + 2 :]
    return made


def _exchange(address: str, question: bytes, limit: int) -> bytes:
    """What comes back from ``HOST:PORT`` or from a path; nothing if nobody is there."""
    host, colon, port = address.rpartition(":")
    is_path = address.startswith("/")
    if not is_path and not (colon and port.isdecimal()):
        return b""
    host = "127.0.0.1" if host == "0.0.0.0" else host.strip("[]")
    family = socket.AF_UNIX if is_path else socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = time.monotonic() + ANSWER_SECONDS
    answer = b""
    with suppress(OSError, OverflowError), socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(address if is_path else (host, int(port)))
        connection.sendall(question)
        while len(answer) < limit and time.monotonic() < deadline:
            if not (chunk := connection.recv(LARGEST_ANSWER)):
                break
            answer += chunk
    return answer
