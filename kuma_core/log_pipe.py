"""The format of the pipe for access logs: whoever tells Envoy what to write and whoever reads it agree here.

A record is ``RECORD host:port FIELD text`` for a server, or ``RECORD FILE path FIELD text`` for a file; the next
record, or silence, ends it. In the path and the text of a file these characters are escaped, so that a line stays what
it was; a server's line loses them.
"""

from __future__ import annotations

import re

RECORD, FIELD, FILE = "\x1e", "\x1f", "\x1c"
DIRECTORY_HEADER = "Kuma-Access-Log-Directory"
"""The header of a bootstrap by which the control plane confines files, quoted as in a URL."""
_ESCAPE = "\x1b"
_LETTERS = {"E": _ESCAPE, "R": RECORD, "F": FIELD}
_ESCAPES = {ord(mark): _ESCAPE + letter for letter, mark in _LETTERS.items()}
_ESCAPED = re.compile(b"|".join((_ESCAPE + letter).encode() for letter in _LETTERS))


def for_server(address: str, text: str) -> str:
    """A record whose text goes to ``host:port``."""
    return f"{RECORD}{_without(RECORD + FIELD + FILE, address)}{FIELD}{_without(RECORD + FIELD, text)}"


def for_file(path: str, text: str) -> str:
    """A record whose text is a line of a file."""
    return f"{RECORD}{FILE}{escaped(path)}{FIELD}{escaped(text)}"


def escaped(text: str) -> str:
    """A text that reaches a file as it is, although the pipe's marks may be in it."""
    return text.translate(_ESCAPES)


def unescaped(data: bytes) -> bytes:
    """What ``escaped`` had made of, as it came out of the pipe."""
    return _ESCAPED.sub(lambda found: _LETTERS[found[0][1:].decode()].encode(), data)


def is_below(path: str, directory: str) -> bool:
    """Whether a path leads to something below an absolute one, by its words alone: links are for whoever opens it."""
    return path.startswith(directory.rstrip("/") + "/") and not {"..", ""} & set(parts_below(path, directory))


def parts_below(path: str, directory: str) -> list[str]:
    """The parts of a path after those of a directory that it is below of."""
    return path[len(directory.rstrip("/")) + 1 :].split("/")


def _without(marks: str, text: str) -> str:
    """A text without characters that mean something in the pipe."""
    return text.translate(dict.fromkeys(map(ord, marks)))
