"""What a leader writes: only while its term lasts, and marked with that term.

A leader may sleep (a stopped process, a machine without processor time) and wake when another one leads. Its parts then
go on in the middle of what they did. So whatever a part of the leader does runs under a ``Mandate``; before each of its
writes the boundary of the store asks whether our lease still runs, by our own clock, and which term its record has by
now. Documents carry the term, and a part that reads a later one stops.

A part that hands work to threads of its own hands the mandate on: ``contextvars.copy_context().run``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from kuma_core.errors import LeaseLost
from kuma_core.resources.contract import Record

MARK = "leaderTerm"
"""The key in a stored document that a leader wrote; whoever else writes the record leaves it out again."""

_MARK = re.compile(rf',?"{MARK}":(\d+)}}$', re.ASCII)
"""The mark where we put it."""


class Mandate:
    """The right to write for one term of a lease. Safe for use from several threads.

    ``left`` tells how many seconds the lease still runs, ``newest`` which term its record has now.
    """

    def __init__(self, term: int, left: Callable[[], float], newest: Callable[[], int]) -> None:
        self.term = term
        self.seen = term
        self._left, self._newest = left, newest
        self._over = False

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Write under this mandate, in this thread, until the end of the block."""
        token = ACTING.set(self)
        try:
            yield
        finally:
            ACTING.reset(token)

    def end(self) -> None:
        """Have every later write refused."""
        self._over = True

    def saw(self, term: int) -> None:
        """Take note of a term that somebody read. Raises ``LeaseLost`` if it is later than ours."""
        if term > self.term:
            self.seen = max(self.seen, term)
            self._over = True
        self.require()

    def require(self) -> None:
        """Raise ``LeaseLost`` unless our lease still runs, by our own clock."""
        if self._over or self._left() <= 0:
            later = f", and there is a term {self.seen}" if self.seen > self.term else ""
            raise LeaseLost(f"nothing is written for term {self.term} of the leader any more{later}")

    def confirm(self) -> None:
        """As ``require``, after a look at the record of the lease. Raises ``StoreUnavailable``, too."""
        self.require()
        self.saw(self._newest())


ACTING: ContextVar[Mandate | None] = ContextVar("ACTING", default=None)
"""The mandate of the thread; without one it is no part of a leader, and writes as it likes."""


def confirm() -> None:
    """Raise ``LeaseLost`` if this thread acts for a leader that leads no more."""
    mandate = ACTING.get()
    if mandate is not None:
        mandate.confirm()


def require_not_newer(*records: Record) -> None:
    """Raise ``LeaseLost`` if this thread acts for a leader, and a later one wrote one of the records."""
    mandate = ACTING.get()
    if mandate is not None:
        mandate.saw(max((term_of(record.document) for record in records), default=0))


def marked(document: str, term: int) -> str:
    """The document of a record that a leader writes; what is no JSON object stays as it is."""
    bare = _MARK.sub("}", document)
    if not (bare.startswith("{") and bare.endswith("}")):
        return document
    return f'{bare[:-1]}{"," if bare[1:-1].strip() else ""}"{MARK}":{term}}}'


def term_of(document: str) -> int:
    """The term of the leader that wrote a document; 0 if none did. A store may have put its keys in another order."""
    found = _MARK.search(document, max(0, len(document) - 64))
    if found or f'"{MARK}"' not in document:
        return int(found[1]) if found else 0
    stored = json.loads(document)
    term = stored.get(MARK) if isinstance(stored, dict) else 0
    return term if isinstance(term, int) else 0


def unmarked(stored: Any) -> Any:
    """A document that was read, without the mark."""
    if isinstance(stored, dict):
        stored.pop(MARK, None)
    return stored
