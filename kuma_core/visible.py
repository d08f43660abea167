"""What a terminal would obey instead of showing it: the one place that says which characters these are.

A name or a message may hold characters that move the cursor, recolour the screen (C0 and C1 controls), or have words
around them shown in another order (bidirectional controls), so that a line reads other than it is. Whoever reads a log
or a list has to see what is there.
"""

from __future__ import annotations

REPLACED = "\N{REPLACEMENT CHARACTER}"

_RANGES = (
    (0x00, 0x1F),  # C0
    (0x7F, 0x9F),  # DEL and C1
    (0x061C, 0x061C),  # the marks and controls of bidirectional text
    (0x200E, 0x200F),
    (0x2028, 0x2029),  # ends of lines to YAML, JavaScript and Python's splitlines()
    (0x202A, 0x202E),
    (0x2066, 0x2069),
)
_ESCAPES = {code: f"\\u{code:04x}" for first, last in _RANGES for code in range(first, last + 1)}
_BETWEEN_LINES = {code: escape for code, escape in _ESCAPES.items() if code not in (0x09, 0x0A)}


def hides(text: str) -> bool:
    """Whether a text holds such a character, a line end or a tab included."""
    return not text.isprintable() and any(ord(character) in _ESCAPES for character in text)


def escaped(text: str) -> str:
    """``text`` with each such character written as ``\\u202e``; line ends and tabs stay.

    Of JSON, and of YAML's text in double quotes, it makes another spelling of the same value.
    """
    return text if text.isprintable() else text.translate(_BETWEEN_LINES)


def one_line(text: str) -> str:
    """The same, with line ends and tabs too: nothing can begin a line, or a column, of its own."""
    return text if text.isprintable() else text.translate(_ESCAPES)


def printable(text: str) -> str:
    """``text`` with a mark in place of each character that cannot be seen; line ends and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else REPLACED for c in text)


def cell(text: str) -> str:
    """The same for the cell of a table, which may not break its line either."""
    return "".join(c if c.isprintable() else REPLACED for c in text)
