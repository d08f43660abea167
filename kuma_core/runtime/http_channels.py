"""One connection of a plain HTTP server: what its client owes, until when, and how much of a body is kept."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from kuma_core.api.errors import JSON, error_body
from kuma_core.runtime.http_deadlines import (
    HEAD_SECONDS,
    IDLE_SECONDS,
    answer_deadline,
    body_deadline,
)

AROUND_CHUNKS = 16 * 1024
"""How many bytes the line that begins a chunk, or what follows the last one, may have."""


class JsonErrorTask(ErrorTask):
    """What waitress refuses before the app sees it, in the shape of every other error."""

    def execute(self) -> None:
        """Answer, and close the connection: nobody knows where the next request begins."""
        task: Any = self  # the published types of waitress lack half of its names
        error: Error = task.request.error
        task.status = f"{error.code} {error.reason}"
        body = error_body(task.status, f"The request cannot be read: {error.body}")
        task.response_headers.append(("Content-Type", JSON))
        task.set_close_on_finish()
        task.content_length = len(body)
        task.write(body)


class _Body(OverflowableBuffer):
    """Keeps a body in memory up to a limit, and counts what it throws away behind that."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit + 64 * 1024)  # above what is kept: nothing goes into a file
        self._limit = limit
        self.size = 0

    def append(self, s: bytes) -> None:
        """Keep the bytes, or forget all of a body that is too large."""
        self.size += len(s)
        if self.size <= self._limit:
            super().append(s)
        elif self.buf is not None or self.strbuf:
            self.close()
            self.buf, self.strbuf = None, b""

    @property
    def too_large(self) -> bool:
        """Whether the body has more bytes than are kept."""
        return self.size > self._limit


def parser_for(limit: int, setting: str) -> Callable[[Any], HTTPRequestParser]:
    """Parsers that keep ``limit`` bytes of a body and refuse more, once its client has sent it and can hear of it."""
    named = f" ({setting})" if setting else ""

    class Parser(HTTPRequestParser):
        def parse_header(self, header_plus: bytes) -> None:
            """Read the head."""
            super().parse_header(header_plus)
            if self.body_rcv is not None:
                self.body_rcv.buf = _Body(limit)

        def received(self, data: bytes) -> int:
            """Take some bytes; returns how many."""
            taken = int(super().received(data))
            body: Any = self.body_rcv
            if body is None or self.error:
                return taken
            if self.completed and body.getbuf().too_large:
                self.error = RequestEntityTooLarge(f"its body has more than {limit} bytes{named}")
            elif _around_chunks(body) > AROUND_CHUNKS:
                self.error, self.completed = BadRequest("what stands around its chunks is too long"), True
            return taken

    return Parser


class Channel(HTTPChannel):
    """A connection that knows until when its client has to have done what comes next."""

    error_task_class = JsonErrorTask

    def __init__(self, server: Any, sock: socket.socket, addr: Any, adj: Any, map: Any = None) -> None:
        self.since = time.monotonic()
        self._served = False
        self._head_began: float | None = None
        self._body_began: float | None = None
        self._answer_began: float | None = None
        self._sent = self._sent_before = 0
        self.parser_class = server.parser
        super().__init__(server, sock, addr, adj, map=map)

    @property
    def waits(self) -> bool:
        """Whether it is the client that has to do something, and no worker."""
        return not self.requests

    @property
    def held(self) -> int:
        """About how many bytes of requests are in memory."""
        requests = [self.request, *self.requests]
        return sum(_size(request) for request in requests if request is not None)

    def received(self, data: bytes) -> bool:
        """Take what the client sent."""
        now = time.monotonic()
        if self._head_began is None:
            self._head_began = now
        taken = bool(super().received(data))
        if self._body_began is None and self.request is not None and self.request.headers_finished:
            self._body_began = now
        server: Any = self.server
        server.took(len(data))
        return taken

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the kernel takes, and count it."""
        sent = int(super().send(data, do_close))
        self._sent += sent
        return sent

    def service(self) -> None:
        """Have a request answered, by a worker; the client's time begins anew."""
        super().service()
        if not self.requests:
            self.since, self._served = time.monotonic(), True
            request = self.request
            self._head_began = None if request is None else self.since
            self._body_began = self.since if request is not None and request.headers_finished else None

    def overdue(self, now: float) -> str:
        """What the client has not done in time; empty if it is in time."""
        if self.total_outbufs_len:
            return "answer" if now > self._answer_due(now) else ""
        self._answer_began = None
        return "" if self.requests else self._owed_request(now)

    def _answer_due(self, now: float) -> float:
        if self._answer_began is None:
            self._answer_began, self._sent_before = now, self._sent
        return answer_deadline(self._answer_began, self._sent - self._sent_before)

    def _owed_request(self, now: float) -> str:
        request, body_began = self.request, self._body_began
        if request is not None and body_began is not None:
            return "body" if now > body_deadline(body_began, request.body_bytes_received) else ""
        if self._head_began is not None:
            return "head" if now > self._head_began + HEAD_SECONDS else ""
        return "request" if now > self.since + (IDLE_SECONDS if self._served else HEAD_SECONDS) else ""

    def give_up(self, missing: str) -> None:
        """Close the connection of a client that is too slow; it is told if it had begun a request."""
        if missing in ("head", "body") and self.socket is not None:
            with suppress(OSError):
                self.socket.send(_timeout(missing))
        self.handle_close()

    def handle_close(self) -> None:
        """Forget the connection, and what came of a request."""
        super().handle_close()
        request, self.request = self.request, None
        if request is not None:
            request.close()


def _size(request: HTTPRequestParser) -> int:
    body = request.body_rcv
    return len(request.header_plus) + (0 if body is None else len(body.getbuf()) + _around_chunks(body))


def _around_chunks(body: Any) -> int:
    """How much waits of a line that begins a chunk, and of what follows the last one."""
    return len(getattr(body, "control_line", b"")) + len(getattr(body, "trailer", b""))


def _timeout(missing: str) -> bytes:
    body = error_body("408 Request Timeout", f"The {missing} of the request was not complete in time")
    head = f"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + f"Content-Type: {JSON}\r\n\r\n".encode() + body
