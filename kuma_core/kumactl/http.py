"""One HTTP exchange, bounded in time and size, with a phrase for whatever goes wrong.

No proxy is used for loopback addresses; for others the usual environment variables hold (``http_proxy``,
``https_proxy``, ``no_proxy``). Nothing here knows what is asked for.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ssl import SSLContext

_WARNING = re.compile(r'\s*\d{3} \S+ "((?:[^"\\]|\\.)*)"')
_CHUNK = 64 * 1024


class HttpFailure(Exception):
    """There is no whole answer; the text is a phrase that says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, of whatever status."""

    status: int
    headers: Message
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        value = self.headers.get(name)
        return None if value is None else _decoded(str(value))

    def text(self) -> str:
        """The body as text, for people; what is not UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace").strip()

    def warnings(self) -> list[str]:
        """The texts of the ``Warning`` headers, fit to be printed."""
        values = [_decoded(str(value)) for value in self.headers.get_all("Warning") or ()]
        return [printable(text) for value in values for text in _warning_texts(value)]


def exchange(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: float,
    limit: int,
    follow_redirects: bool = False,
    tls: SSLContext | None = None,
) -> Answer:
    """Send one request to an http or https URL; the answer of any status.

    ``timeout`` is in seconds and bounds the whole, ``limit`` (bytes) the body; ``tls`` takes the place of the
    system's rules for https. Raises HttpFailure.
    """
    call = _Call(method, url, headers, body, timeout, limit, follow_redirects, tls)
    return call.within(timeout)


class _Call(threading.Thread):
    """One exchange in a thread of its own, so that nothing can outlast the timeout.

    A socket's timeout bounds one read only: name servers, handshakes and headers that drip would not end. A
    thread that is left behind ends with the program.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(name="http", daemon=True)
        self._arguments = arguments
        self._answer: Answer | None = None
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._answer = _exchange(*self._arguments)
        except HttpFailure as error:
            self._failure = error.with_traceback(None)  # its frames would keep sockets alive
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure = error

    def within(self, seconds: float) -> Answer:
        """The answer, if it comes in time; otherwise what went wrong is raised."""
        self.start()
        self.join(seconds)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if self._answer is None:
            raise HttpFailure(f"no answer within {seconds:g} s")
        return self._answer


def _exchange(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    timeout: float,
    limit: int,
    follow_redirects: bool,
    tls: SSLContext | None,
) -> Answer:
    deadline = time.monotonic() + timeout
    try:
        request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
        opener = _opener(url, follow_redirects, tls)
        with _open(opener, request, timeout) as response:
            return Answer(response.status, response.headers, _body(response, deadline, limit))
    except (OSError, http.client.HTTPException, ValueError) as error:
        phrase = _reason(error, timeout)
    raise HttpFailure(phrase)


def _open(opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float) -> Any:
    try:
        return opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:  # an answer too: a redirect that leads nowhere
        return error


def _opener(url: str, follow_redirects: bool, tls: SSLContext | None) -> urllib.request.OpenerDirector:
    """An opener that knows http and https only: no redirect may lead to ``file:`` or ``ftp:``."""
    opener = urllib.request.OpenerDirector()
    handlers: list[Any] = [urllib.request.ProxyHandler({} if _is_loopback(url) else None)]
    handlers += [urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(context=tls)]
    handlers += [urllib.request.UnknownHandler()]
    if follow_redirects:
        handlers += [urllib.request.HTTPErrorProcessor(), urllib.request.HTTPRedirectHandler()]
        handlers += [urllib.request.HTTPDefaultErrorHandler()]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _is_loopback(url: str) -> bool:
    import ipaddress

    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _body(response: IO[bytes], deadline: float, limit: int) -> bytes:
    """The whole body. A server that drips must not keep us, nor one that never ends."""
    chunks, size = [], 0
    while chunk := _read_some(response):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise HttpFailure(f"the answer is larger than {limit} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(chunks)


def _read_some(response: Any) -> bytes:
    read: bytes = response.read1(_CHUNK) if hasattr(response, "read1") else response.read(_CHUNK)
    missing = 0 if read else getattr(response, "length", None) or 0
    if missing:
        raise HttpFailure(f"the connection was closed {missing} bytes before the end of the answer")
    return read


def _reason(error: BaseException, timeout: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(cause, http.client.RemoteDisconnected):
        return "the server closed the connection without an answer"
    if isinstance(cause, http.client.HTTPException):
        return f"that is not an answer of HTTP ({type(cause).__name__}: {printable(str(cause))[:200]})"
    if isinstance(cause, OSError) and cause.strerror:
        return _lower_first(cause.strerror)
    return printable(str(cause)) or type(cause).__name__


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _decoded(value: str) -> str:
    """Headers are read as Latin-1; ours are UTF-8."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _warning_texts(value: str) -> list[str]:
    """The quoted texts of a ``Warning`` header (RFC 7234, 5.5), or the header as it is."""
    texts = [re.sub(r"\\(.)", r"\1", text) for text in _WARNING.findall(value)]
    return texts or [value]


def printable(text: str) -> str:
    """``text`` without characters that a terminal would obey; line ends and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
