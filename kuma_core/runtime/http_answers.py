"""Between an app and waitress: no long answer waits in memory as it is, in a file, or in a worker's hands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from waitress.buffers import ReadOnlyFileBasedBuffer

from kuma_core.api.errors import JSON, RETRY_SECONDS, error_body
from kuma_core.api.long_answers import WHOLE_BYTES, Packed
from kuma_core.errors import Busy

App = Callable[..., Iterable[bytes]]


class _PackedBuffer(ReadOnlyFileBasedBuffer):
    """A packed body as waitress takes the files of an app: its loop sends it, without a worker."""

    def __init__(self, body: Packed) -> None:
        self.file: Any = body
        self.remain = len(body)

    def prepare(self, size: int | None = None) -> int:
        """How many bytes there are."""
        return self.remain

    def get(self, numbytes: int = -1, skip: bool = False) -> bytes:
        """The next bytes."""
        found: bytes = self.file.peek(numbytes if numbytes >= 0 else self.remain)
        if skip:
            self.skip(len(found))
        return found

    def skip(self, numbytes: int, allow_prune: int = 0) -> None:
        """Leave out what was sent."""
        self.file.skip(numbytes)
        self.remain -= numbytes


def _as_file(body: Any, block_size: int = 32768) -> ReadOnlyFileBasedBuffer:
    """What WSGI calls a file wrapper."""
    return _PackedBuffer(body) if isinstance(body, Packed) else ReadOnlyFileBasedBuffer(body, block_size)


def with_long_answers(app: App) -> App:
    """An app whose long answers are packed; 503 where too many of them are on their way."""

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["wsgi.file_wrapper"] = _as_file
        body = app(environ, start_response)
        if not isinstance(body, list) or sum(map(len, body)) <= WHOLE_BYTES:
            return body
        try:
            packed: Iterable[bytes] = _PackedBuffer(Packed(body))  # type: ignore[assignment]  # a file to waitress
            return packed
        except Busy as error:
            return _refusal(error, start_response)

    return call


def _refusal(error: Busy, start_response: Callable[..., Any]) -> list[bytes]:
    body = error_body("Could not process the request", str(error))
    headers = [
        ("Content-Type", JSON),
        ("Content-Length", str(len(body))),
        ("Retry-After", str(RETRY_SECONDS)),
    ]
    start_response("503 Service Unavailable", headers, (Busy, error, None))
    return [body]
