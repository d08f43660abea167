"""The client of the API server: requests out, JSON or one sentence back.

It follows no redirect of an API server: a redirect means that the address is wrong, and a write must not
wander.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from kuma_core.documents import to_json
from kuma_core.errors import KumaError
from kuma_core.http_client import Answer, HttpFailure, Rules, exchange
from kuma_core.visible import printable

if TYPE_CHECKING:
    from socket import socket as Socket
    from ssl import SSLContext

TIMEOUT = 60.0
"""Seconds for a whole request."""

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes; a longer answer is not read."""

ACCEPTED = "application/json,*/*"
"""JSON is what we want. Kuma 0.3 answers 406 where its route does not declare JSON, ``GET /`` and ``POST /tokens``
among them, unless anything will do; and it takes the pieces between the commas as they are, blanks included."""


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a server answered, or None if the answer is not one."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class ApiError(KumaError):
    """The API server refused. ``explained`` tells whether it said why in the JSON shape of its errors."""

    def __init__(self, status: int, message: str, explained: bool) -> None:
        super().__init__(message)
        self.status = status
        self.explained = explained

    def behind(self, prefix: str) -> ApiError:
        """This error with ``prefix`` before it, unless the server explained itself."""
        return self if self.explained else ApiError(self.status, f"{prefix}: {self}", False)


class Unreachable(KumaError):
    """There was no answer, or not one that an API server gives."""


class Client:
    """Talks to the API server at ``url``, whose path is kept before every path.

    ``warn`` is given each text of a ``Warning`` header, ``log`` a line about each request. The admin server
    speaks alike: ``server`` is what messages call it, ``tls`` how https is spoken with it, ``unix_socket`` where it is
    asked in place of the host of ``url``. ``headers`` go with each request.
    """

    def __init__(
        self,
        url: str,
        warn: Callable[[str], None],
        log: Callable[[str], None] = lambda _line: None,
        timeout: float = TIMEOUT,
        server: str = "API server",
        tls: SSLContext | None = None,
        unix_socket: str = "",
        check_peer: Callable[[Socket], None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._unix_socket, self._check_peer = unix_socket, check_peer
        self._warn, self._log, self._timeout = warn, log, timeout
        self._server, self._tls, self._headers = server, tls, dict(headers or {})

    def without_warnings(self) -> Client:
        """The same client, which tells nobody of ``Warning`` headers."""
        quiet = copy.copy(self)
        quiet._warn = lambda _text: None
        return quiet

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        """The JSON object at ``path``. Raises ApiError for a refusal, Unreachable for anything else."""
        target = path + ("?" + urlencode(query) if query else "")
        return self._object(target, self._checked(self._send("GET", target)))

    def put(self, path: str, value: dict[str, Any]) -> str:
        """Store ``value`` and tell what that did: ``created``, ``updated`` or ``unchanged``.

        A server that does not say so by ``Kuma-Result`` is judged by its status, 201 or 200.
        """
        answer = self._checked(self._send("PUT", path, to_json(value).encode()))
        result = (answer.header("Kuma-Result") or "").strip()
        if result in ("created", "updated", "unchanged"):
            return result
        return "created" if answer.status == 201 else "updated"

    def delete(self, path: str) -> None:
        """Remove what is at ``path``."""
        self._checked(self._send("DELETE", path))

    def dry_run(self, method: str, path: str, value: dict[str, Any] | None = None) -> dict[str, Any]:
        """What a write would do to the proxies; nothing is stored. Raises as ``get`` does."""
        target = f"{path}?dry-run=xds"
        return self._object(target, self.send(method, target, value))

    def send(self, method: str, path: str, value: dict[str, Any] | None = None) -> Answer:
        """The answer to any request, if it is a good one. Raises as ``get`` does."""
        body = None if value is None else to_json(value).encode()
        return self._checked(self._send(method, path, body))

    def _send(self, method: str, path: str, body: bytes | None = None) -> Answer:
        url = self.url + path
        headers = {"Accept": ACCEPTED, **self._headers}
        headers |= {"Content-Type": "application/json"} if body else {}
        rules = Rules(
            self._timeout,
            MAX_ANSWER,
            tls=self._tls,
            unix_socket=self._unix_socket,
            check_peer=self._check_peer,
        )
        try:
            answer = exchange(method, url, headers, body, rules)
        except HttpFailure as error:
            place = f"{url} over the Unix socket {self._unix_socket}" if self._unix_socket else url
            said = f"cannot reach the {self._server}: {method} {place}: {error.phrase}. {_NEXT_STEP}"
            raise Unreachable(said) from None
        self._log(f"{method} {url}: {answer.status}")
        for text in answer.warnings():
            self._warn(text)
        return answer

    def _checked(self, answer: Answer) -> Answer:
        if 300 <= answer.status < 400:
            place = printable(answer.header("Location") or "nowhere")
            said = f"{self.url} answers with a redirect ({answer.status}) to {place}"
            raise Unreachable(f"{said}; add the Control Plane with the address that it redirects to")
        if not 200 <= answer.status < 300:
            raise _refusal(answer)
        return answer

    def _object(self, path: str, answer: Answer) -> dict[str, Any]:
        value = json_object(answer.body)
        if value is None:
            raise Unreachable(f"{self.url}{path} did not answer with a JSON object. {_NEXT_STEP}")
        return value


_NEXT_STEP = "Is kuma-cp running there? `kumactl config control-planes list` shows which address is used"


@contextmanager
def known_shape(place: str) -> Iterator[None]:
    """Let whoever takes an answer apart find what it looks for, or raise Unreachable: ``place`` is another's."""
    try:
        yield
    except (TypeError, KeyError, ValueError, AttributeError):
        message = f"{place} did not answer as kumactl knows it; are the versions alike?"
        raise Unreachable(message) from None


def check_steps(*words: str) -> None:
    """Raise KumaError for what would not stay one step of a path: servers resolve such paths."""
    for word in words:
        if "/" in word or word in (".", ".."):
            raise KumaError(f'"{word}" cannot be a name: it is part of a path')


def item_path(mesh: str | None, collection: str, name: str | None = None) -> str:
    """The path of a collection or of an item in it; ``mesh`` is None for a kind without a mesh."""
    steps = [] if mesh is None else ["meshes", quote(mesh, safe="")]
    steps += [quote(collection, safe="+")] + ([] if name is None else [quote(name, safe="")])
    return "/" + "/".join(steps)


def _refusal(answer: Answer) -> ApiError:
    """The error as kumactl 0.3.1 showed it: title, details, and a line for each cause."""
    value = json_object(answer.body) or {}
    title, details = _text(value, "title"), _text(value, "details")
    if not title or not details:
        return ApiError(answer.status, f"({answer.status}): {printable(answer.text())[:2000]}", False)
    causes = value.get("causes")
    lines = [_cause(c) for c in causes if isinstance(c, dict)] if isinstance(causes, list) else []
    return ApiError(answer.status, "\n".join([f"{title} ({details})", *lines]), True)


def _cause(cause: dict[str, Any]) -> str:
    return f"* {_text(cause, 'field')}: {_text(cause, 'message')}"


def _text(value: dict[str, Any], name: str) -> str:
    member = value.get(name)
    return printable(member) if isinstance(member, str) else ""
