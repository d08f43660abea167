"""Lists in pages, for clients that ask for them with ``size`` and ``offset``, of what a search found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import quote, urlencode

import falcon

from kuma_core.api.exchange import answer_list
from kuma_core.api.long_answers import Turns
from kuma_core.api.searching import Search
from kuma_core.errors import InvalidResource, Violation
from kuma_core.model import Resource
from kuma_core.resources.contract import Listed

DEFAULT_SIZE, MAX_SIZE = 100, 1000

_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: at most ``size`` items behind the first ``offset``."""

    size: int
    offset: int


def read_page(req: falcon.Request) -> Page | None:
    """The page that a request asks for, ``None`` for the whole list.

    Raises ``InvalidResource`` with a violation on ``size``, on ``offset``, or on both.
    """
    size, offset = _last(req, "size"), _last(req, "offset")
    if size is None and offset is None:
        return None
    problems = []
    if size is not None and not (_DIGITS.fullmatch(size) and 1 <= int(size) <= MAX_SIZE):
        problems.append(Violation("size", f"expected a whole number from 1 to {MAX_SIZE}"))
    if offset is not None and not _DIGITS.fullmatch(offset):
        problems.append(Violation("offset", "expected a whole number, 0 or more"))
    if problems:
        raise InvalidResource(problems, details="The page is not valid")
    return Page(DEFAULT_SIZE if size is None else int(size), int(offset or 0))


_turns = Turns()


def answer_page(
    req: falcon.Request,
    resp: falcon.Response,
    page: Page | None,
    found: Listed,
    item: Callable[[Resource], object],
    search: Search | None = None,
    around: Iterable[tuple[str, Any]] = (),
) -> None:
    """Answer with the items of a page of what is searched for, ``total`` and ``next``, and the members of ``around``,
    which are asked for when the items are written.

    Without a page and a search it is the plain list of 0.3.1; without a page alone, all that was found.
    Raises ``Busy`` if too many long lists are being made, or on their way to clients that read slowly.
    """
    if search:
        found = search.of(found)
        page = page or Page(max(1, len(found)), 0)
    if page is None:
        with _turns.turn(len(found)):
            answer_list(resp, map(item, found), around)
        return
    end = page.offset + page.size
    following = _url(req, end) if end < len(found) else None
    shown = found[page.offset : end]
    with _turns.turn(len(shown)):
        answer_list(resp, map(item, shown), chain([("total", len(found)), ("next", following)], around))


def _last(req: falcon.Request, name: str) -> str | None:
    values = req.get_param_as_list(name)
    return values[-1] if values else None


def _url(req: falcon.Request, offset: int) -> str:
    """This request's own URL, with another offset."""
    pairs = [
        (name, value)
        for name, values in req.params.items()
        if name != "offset"
        for value in ([values] if isinstance(values, str) else values)
    ]
    query = urlencode([*pairs, ("offset", str(offset))])
    return f"{req.prefix}{quote(req.path, safe='/+')}?{query}"
