"""The format of the pipe for access logs: whoever tells Envoy what to write and whoever reads it agree here.

A record is ``RECORD host:port FIELD text`` for a server, or ``RECORD FILE path FIELD text`` for a file; the next
record, or silence, ends it. In the path and the text of a file these characters are escaped, so that a line stays what
it was; a server's line loses them.
"""

from __future__ import annotations

import re

RECORD, FIELD, FILE = "\x1e", "\x1f", "\x1c"
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


def _without(marks: str, text: str) -> str:
    """A text without characters that mean something in the pipe."""
    return text.translate(dict.fromkeys(map(ord, marks)))
