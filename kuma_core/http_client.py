"""One HTTP exchange, bounded in time and in size, with a phrase for whatever goes wrong.

kumactl, kuma-dp and the helpers of tests ask servers in this way. Nothing here knows what is asked for.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from functools import partial
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from kuma_core import __version__
from kuma_core.visible import printable

CONNECT_SECONDS = 10.0
"""How long a connection may take to come about, for each address of a host."""

_WARNING = re.compile(r'\s*\d{3} \S+ "((?:[^"\\]|\\.)*)"')
_CHUNK = 64 * 1024
_MIB = 1024 * 1024


class HttpFailure(Exception):
    """There is no whole answer; the text says why, in the system's own words where it said something."""

    proxy = ""
    """The proxy that was asked in place of the server, if one was."""

    def __str__(self) -> str:
        return super().__str__() + (f" (asked by way of the proxy {self.proxy})" if self.proxy else "")

    @property
    def phrase(self) -> str:
        """The text as a part of a sentence: it begins with a small letter."""
        text = str(self)
        return text[:1].lower() + text[1:] if text[1:2].islower() else text


class NotConnected(HttpFailure):
    """No connection came about. Nothing was sent, so whoever wants may try again."""


class NoConnection(HttpFailure):
    """No connection came about in time."""


class NotHttp(HttpFailure):
    """What answers there does not speak HTTP; ``kind`` is a word for what it did instead."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


class NoAnswer(HttpFailure):
    """The time for the exchange was over before the answer was there."""


class CutOff(HttpFailure):
    """The connection ended before the answer did."""


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


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for an exchange.

    ``timeout`` (seconds) bounds the whole and ``limit`` (bytes) the body of the answer. ``tls`` takes the place of
    the system's rules for https. ``proxies`` lets the usual environment variables hold (``http_proxy``,
    ``https_proxy``, ``no_proxy``); loopback addresses are always asked directly. ``unix_socket`` is the path to ask
    in place of the host of an http URL; ``check_peer`` gets the connected socket before anything is sent over it, and
    raises what the exchange then raises.
    """

    timeout: float
    limit: int
    follow_redirects: bool = False
    tls: ssl.SSLContext | None = None
    proxies: bool = True
    unix_socket: str = ""
    check_peer: Callable[[socket.socket], None] | None = None


def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes | None, rules: Rules) -> Answer:
    """Send one request to an http or https URL; the answer of any status. Raises HttpFailure."""
    return _Call(method, url, headers, body, rules).within(rules.timeout)


@contextmanager
def lines(url: str, headers: Mapping[str, str], rules: Rules) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The status of a GET, and the lines of its answer as they come. Raises HttpFailure.

    The timeout bounds each silence, and the limit each line.
    """
    request = None
    try:
        request = _request("GET", url, headers, None)
        with _open(_opener(url, rules), request, rules.timeout) as response:
            yield response.status, _lines(response, rules.limit)
        return
    except HttpFailure as error:
        failure = error
    except (OSError, http.client.HTTPException, ValueError) as error:
        failure = _failure(error, rules.timeout)
    failure.proxy = _proxy(request)
    raise failure


def _lines(response: Any, limit: int) -> Iterator[bytes]:
    while line := response.readline(limit + 1):
        if len(line) > limit:
            raise HttpFailure(f"a line of the answer is longer than {_size(limit)}")
        yield line


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
            raise NoAnswer(f"no answer within {seconds:g} s")
        return self._answer


def _exchange(method: str, url: str, headers: Mapping[str, str], body: bytes | None, rules: Rules) -> Answer:
    deadline = time.monotonic() + rules.timeout
    request = None
    try:
        request = _request(method, url, headers, body)
        with _open(_opener(url, rules), request, rules.timeout) as response:
            return Answer(response.status, response.headers, _body(response, deadline, rules.limit))
    except HttpFailure as error:
        failure = error
    except (OSError, http.client.HTTPException, ValueError) as error:
        failure = _failure(error, rules.timeout)
    failure.proxy = _proxy(request)
    raise failure


def _proxy(request: urllib.request.Request | None) -> str:
    """Where a request went instead of to the host of its URL."""
    if request is None or request.host == urlsplit(request.full_url).netloc:
        return ""
    return request.host


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> urllib.request.Request:
    """The request; a user and a password in the URL become a header, as in all clients."""
    parts = urlsplit(url)
    credentials, at, place = parts.netloc.rpartition("@")
    own = {"User-Agent": f"kuma/{__version__}"}
    if at:
        url = parts._replace(netloc=place).geturl()
        own["Authorization"] = f"Basic {b64encode(unquote(credentials).encode()).decode()}"
    return urllib.request.Request(url, data=body, headers={**own, **headers}, method=method)


def _open(opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float) -> Any:
    try:
        return opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:  # an answer too: a redirect that leads nowhere
        return error


class _Connecting(http.client.HTTPConnection):
    """Gives a connection less time to come about than an answer, and tells when none did."""

    def connect(self) -> None:
        whole: Any = self.timeout
        self.timeout = min(whole, CONNECT_SECONDS)
        try:
            super().connect()
        except TimeoutError:
            raise NoConnection(f"no connection within {self.timeout:g} s") from None
        except ssl.SSLError:
            raise
        except OSError as error:
            raise NotConnected(_said(error)) from None
        self.sock.settimeout(whole)


class _ConnectingSafely(_Connecting, http.client.HTTPSConnection):
    """The same over TLS."""


class _OverSocket(http.client.HTTPConnection):
    """The same over a Unix socket."""

    def __init__(self, host: str, *, rules: Rules, **options: Any) -> None:
        super().__init__(host, **options)
        self._path, self._check_peer = rules.unix_socket, rules.check_peer

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError as error:
            raise NotConnected(_said(error)) from None
        if self._check_peer:
            self._check_peer(self.sock)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self._rules = rules

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        if self._rules.unix_socket:
            return self.do_open(partial(_OverSocket, rules=self._rules), req)
        return self.do_open(_Connecting, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self._tls = tls

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_ConnectingSafely, req, context=self._tls)


def _opener(url: str, rules: Rules) -> urllib.request.OpenerDirector:
    """An opener that knows http and https only: no redirect may lead to ``file:`` or ``ftp:``."""
    opener = urllib.request.OpenerDirector()
    direct = not rules.proxies or bool(rules.unix_socket) or is_loopback_url(url)
    handlers: list[Any] = [urllib.request.ProxyHandler({} if direct else None)]
    handlers += [_Http(rules), _Https(rules.tls), urllib.request.UnknownHandler()]
    if rules.follow_redirects:
        handlers += [urllib.request.HTTPErrorProcessor(), urllib.request.HTTPRedirectHandler()]
        handlers += [urllib.request.HTTPDefaultErrorHandler()]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def is_loopback_url(url: str) -> bool:
    """Whether the host of a URL is this machine by its nature; no name but ``localhost`` is."""
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
            raise HttpFailure(f"the answer is larger than {_size(limit)}")
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(chunks)


def _size(limit: int) -> str:
    return f"{limit} bytes" if limit % _MIB else f"{limit // _MIB} MiB"


def _read_some(response: Any) -> bytes:
    read: bytes = response.read1(_CHUNK) if hasattr(response, "read1") else response.read(_CHUNK)
    missing = 0 if read else getattr(response, "length", None) or 0
    if missing:
        raise CutOff(f"the connection was closed {missing} bytes before the end of the answer")
    return read


def _failure(error: BaseException, timeout: float) -> HttpFailure:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return NoAnswer(f"no answer within {timeout:g} s")
    if isinstance(cause, http.client.RemoteDisconnected):
        return NotHttp("the server closed the connection without an answer", type(cause).__name__)
    if isinstance(cause, http.client.HTTPException) and not isinstance(cause, http.client.InvalidURL):
        kind = type(cause).__name__
        return NotHttp(f"that is not an answer of HTTP ({kind}: {printable(str(cause))[:200]})", kind)
    return HttpFailure(_said(cause))


def _said(error: BaseException | str) -> str:
    """What the system said, in its words but for the names of TLS's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return f"TLS failed: {error.reason.replace('_', ' ').lower()}"
    text = getattr(error, "strerror", None) or str(error)
    return printable(text) or type(error).__name__


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
