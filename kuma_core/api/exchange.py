"""What every responder does with a request and an answer: bodies in, JSON out, both bounded."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import falcon

from kuma_core.api.errors import JSON
from kuma_core.api.long_answers import Packed, packed_if_long
from kuma_core.documents import shown
from kuma_core.errors import MalformedResource, Violation

_ZLIB_FORMATS = {"gzip": (31,), "x-gzip": (31,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}
"""What zlib calls the formats; "deflate" is sent with its header by some clients and without it by others."""

_one_line = json.JSONEncoder(ensure_ascii=False).encode


def begin(req: falcon.Request, title: str) -> None:
    """Say what the request is about, for errors, and refuse a client that takes no JSON (406)."""
    req.context.title = title
    if not req.client_accepts(JSON):
        raise falcon.HTTPNotAcceptable(
            title=title, description=f"This path answers {JSON}, which the Accept header leaves out"
        )


def answer_json(resp: falcon.Response, value: Any) -> None:
    """Answer 200 with JSON, indented by one space, without a newline at its end."""
    resp.data = json.dumps(value, indent=1, ensure_ascii=False).encode()
    resp.content_type = JSON


def answer_list(
    resp: falcon.Response,
    items: Iterable[Any],
    around: Iterable[tuple[str, Any]] = (),
    name: str = "items",
) -> None:
    """Answer 200 with ``{"items": [...]}``, an item a line, and the members of ``around`` behind it.

    An indented list of 10 000 dataplanes takes four times as long to write. The items are taken one by one, and a long
    list is packed meanwhile: what it holds is never in memory as a whole. Raises ``Busy`` if there is no room for it.
    """
    body = packed_if_long(_pieces(name, items, around))
    resp.content_type = JSON
    if isinstance(body, Packed):
        resp.set_stream(body, len(body))
    else:
        resp.data = body


_AT_ONCE = 50
"""So many items make a piece."""


def _pieces(name: str, items: Iterable[Any], around: Iterable[tuple[str, Any]]) -> Iterator[bytes]:
    rest, before = iter(items), f'{{\n "{name}": ['
    end = f"{before}]"
    while lines := ",\n  ".join(map(_one_line, islice(rest, _AT_ONCE))):
        yield f"{before}\n  {lines}".encode()
        before, end = ",", "\n ]"
    behind = "".join(f',\n "{key}": {_one_line(value)}' for key, value in around)
    yield f"{end}{behind}\n}}".encode()


def read_body(req: falcon.Request, limit: int, setting: str = "") -> bytes:
    """The body of a request, unpacked if it is gzip or deflate.

    More than ``limit`` bytes, packed or not, are refused with 413, whose text names the ``setting``;
    another encoding with 415; a damaged one raises ``MalformedResource``.
    """
    encoding = (req.get_header("Content-Encoding") or "identity").strip().lower()
    if encoding not in _ZLIB_FORMATS and encoding != "identity":
        raise falcon.HTTPUnsupportedMediaType(
            title=_title(req),
            description=f"The Content-Encoding {shown(encoding)} is not known; send gzip, deflate or none",
        )
    body = b"" if (req.content_length or 0) > limit else bytes(req.bounded_stream.read(limit + 1))
    if (req.content_length or 0) > limit or len(body) > limit:
        raise _too_large(req, limit, setting)
    if encoding == "identity":
        return body
    unpacked = _unpack(body, encoding, limit)
    if unpacked is None:
        raise _too_large(req, limit, setting)
    return unpacked


def _unpack(body: bytes, encoding: str, limit: int) -> bytes | None:
    """The content, or ``None`` if it has more than ``limit`` bytes; no more than these are unpacked."""
    for window in _ZLIB_FORMATS[encoding]:
        unpacker = zlib.decompressobj(window)
        try:
            content = unpacker.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(content) > limit:
            return None
        if unpacker.eof:
            return content
    text = f"the body is not valid {encoding}, as its Content-Encoding says"
    raise MalformedResource([Violation("", text)], details=text)


def _too_large(req: falcon.Request, limit: int, setting: str) -> falcon.HTTPError:
    named = f" ({setting})" if setting else ""
    return falcon.HTTPContentTooLarge(
        title=_title(req), description=f"The body has more than {limit} bytes{named}"
    )


def _title(req: falcon.Request) -> str:
    return str(getattr(req.context, "title", "Could not process a resource"))
