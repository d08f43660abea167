"""Where documents come from: a file, standard input or a URL (specification of the command line, 7.3)."""

from __future__ import annotations

import sys

from kuma_core.errors import KumaError

MAX_SOURCE = 16 * 1024 * 1024
"""Bytes of a file, of standard input or of what a URL answers; more is refused."""

URL_TIMEOUT = 10.0
"""Seconds for reading a URL."""


def read(place: str | None) -> tuple[str, str]:
    """The text at ``place`` (None and ``-`` are standard input), and what to call it in errors.

    Raises KumaError: not there, too large, not UTF-8 text.
    """
    if place is None or place == "-":
        name, data = "standard input", _standard_input()
    elif place.startswith(("http://", "https://")):
        name, data = place, _url(place)
    else:
        name, data = place, _file(place)
    if len(data) > MAX_SOURCE:
        raise KumaError(f"{name} is larger than {MAX_SOURCE} bytes; split it")
    return _decoded(data, name), name


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise KumaError(f"{name}, line {line}: byte {error.start} is not UTF-8 text") from None


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        print("Reading from standard input; end it with Ctrl-D.", file=sys.stderr)
    return sys.stdin.buffer.read(MAX_SOURCE + 1)


def _file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_SOURCE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise KumaError(f'error while reading provided file: cannot read "{path}": {reason}') from None


def _url(url: str) -> bytes:
    from kuma_core.kumactl.http import HttpFailure, exchange, printable

    try:
        answer = exchange("GET", url, {}, None, URL_TIMEOUT, MAX_SOURCE, follow_redirects=True)
    except HttpFailure as error:
        raise KumaError(f"error with GET http request: {url}: {error}") from None
    if answer.status != 200:
        said = f"({answer.status}): {printable(answer.text())[:200]}"
        raise KumaError(f"error with GET http request: {url}: {said}")
    return answer.body
