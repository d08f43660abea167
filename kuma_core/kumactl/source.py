"""Where documents come from: files, folders, standard input, URLs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from kuma_core.commandline import tell
from kuma_core.errors import KumaError
from kuma_core.kumactl.files import reason, standard_input

MAX_SOURCE = 16 * 1024 * 1024
"""Bytes of a file, of standard input or of what a URL answers; more is refused."""

URL_TIMEOUT = 10.0
"""Seconds for reading a URL."""

SUFFIXES = (".yaml", ".yml", ".json")
"""Which files of a folder hold documents."""

MAX_FILES, MAX_LEVELS = 10_000, 32
"""How many files a folder may hold, and how deeply folders may lie in it."""


def places(given: Sequence[str]) -> list[str]:
    """All places that are meant, in order: folders become their files, nothing given is standard input.

    Raises KumaError: a folder without documents or with too much in it, standard input twice.
    """
    found = [place for each in given or ("-",) for place in (_files(each) if os.path.isdir(each) else [each])]
    if found.count("-") > 1:
        raise KumaError("standard input (-) can be read only once")
    return found


def _files(folder: str) -> list[str]:
    """The documents in a folder and below, each folder's own files first, in the order of their names."""
    found: list[str] = []
    for path in _walk(folder, 0):
        found.append(path)
        if len(found) > MAX_FILES:
            raise KumaError(f'"{folder}" holds more than {MAX_FILES} files; name smaller folders')
    if not found:
        raise KumaError(f'nothing to apply: "{folder}" holds no file that ends in {", ".join(SUFFIXES)}')
    return found


def _walk(folder: str, level: int) -> Iterator[str]:
    """Links to folders are not followed, for they may lead back; what is hidden is left out."""
    if level > MAX_LEVELS:
        raise KumaError(f'"{folder}" lies deeper than {MAX_LEVELS} folders; name it by itself')
    try:
        with os.scandir(folder) as entries:
            inside = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise _unreadable(folder, error) from None
    yield from (e.path for e in inside if e.is_file() and e.name.endswith(SUFFIXES))
    for entry in inside:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, level + 1)


def read(place: str, limit: int = 0) -> tuple[str, str]:
    """The text at ``place`` (``-`` is standard input), and what to call it in errors.

    ``limit`` is in bytes, ``MAX_SOURCE`` if it is 0. Raises KumaError: not there, too large, not UTF-8 text.
    """
    limit = limit or MAX_SOURCE
    if place == "-":
        name, data = "standard input", _standard_input(limit)
    elif place.startswith(("http://", "https://")):
        name, data = place, _url(place, limit)
    else:
        name, data = place, _file(place, limit)
    if len(data) > limit:
        raise KumaError(f"{name} is larger than {limit} bytes; split it")
    return _decoded(data, name), name


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise KumaError(f"{name}, line {line}: byte {error.start} is not UTF-8 text") from None


def _standard_input(limit: int) -> bytes:
    try:
        stream = standard_input()
        if stream.isatty():
            tell("Reading from standard input; end it with Ctrl-D.")
        return stream.read(limit + 1)
    except OSError as error:
        raise KumaError(f"cannot read standard input: {reason(error)}") from None


def _file(path: str, limit: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: OSError | ValueError) -> KumaError:
    return KumaError(f'error while reading provided file: cannot read "{path}": {reason(error)}')


def _url(url: str, limit: int) -> bytes:
    from kuma_core.http_client import HttpFailure, Rules, exchange
    from kuma_core.visible import printable

    try:
        answer = exchange("GET", url, {}, None, Rules(URL_TIMEOUT, limit, follow_redirects=True))
    except HttpFailure as error:
        raise KumaError(f"error with GET http request: {url}: {error.phrase}") from None
    if answer.status != 200:
        said = f"({answer.status}): {printable(answer.text())[:200]}"
        raise KumaError(f"error with GET http request: {url}: {said}")
    return answer.body
