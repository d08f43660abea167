"""The program ``kuma-tcp-echo``: a small service for demonstrations, which answers with what it was sent.

A request over HTTP gets a valid answer whose body is the raw request; anything else comes back byte for byte.
One thread for each connection, and a bound on their number.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from kuma_core import __version__
from kuma_core.built import detailed_version
from kuma_core.visible import one_line

CHUNK = 1024
MOST_CONNECTIONS = 500  # more of them wait in the kernel's queue; 1024 open files are a usual limit
LARGEST_REQUEST = 1024 * 1024
LARGEST_HEAD = 64 * 1024
REQUEST_SECONDS = 10.0  # after that, what looked like the beginning of a request is echoed as it is
LINGER_SECONDS = 2.0  # how long a client that was answered has to hang up itself

_METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH")
_REQUEST_LINE = re.compile(rb"(" + b"|".join(_METHODS) + rb") (\S+) (HTTP/1\.[01])\r?")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,12})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Options:
    """The flags; ``raw``: HTTP is echoed byte for byte, too; ``name``: the value of ``X-Instance`` or ""."""

    port: int
    interface: str
    raw: bool
    name: str


@dataclass(frozen=True, slots=True)
class Request:
    """The first line of a request whose head is complete, and how many bytes it has with its body."""

    method: str
    target: str
    protocol: str
    size: int


def parse_request(data: bytes) -> Request | None:
    """The request that ``data`` begins with, or None if its head is not there as a whole."""
    end = _END_OF_HEAD.search(data, 0, LARGEST_HEAD)
    line = _REQUEST_LINE.fullmatch(data.partition(b"\n")[0])
    if end is None or line is None:
        return None
    length = _CONTENT_LENGTH.search(data, 0, end.end())
    size = end.end() + (int(length[1]) if length else 0)
    method, target, protocol = (text.decode("latin-1") for text in line.groups())
    return Request(method, target, protocol, size)


def may_become_request(data: bytes) -> bool:
    """Whether these bytes are the beginning of a request, so that it is worth waiting for the rest."""
    line, newline, _ = data.partition(b"\n")
    if newline:
        return _REQUEST_LINE.fullmatch(line) is not None and len(data) < LARGEST_HEAD
    method, space, _ = line.partition(b" ")
    if space:
        return method in _METHODS and len(data) < LARGEST_HEAD
    return any(known.startswith(method) for known in _METHODS)


def answer(request: Request, data: bytes, name: str) -> bytes:
    """A valid answer over HTTP whose body is the request itself (without the body if asked with HEAD)."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/plain", f"Content-Length: {len(data)}"]
    lines += [f"X-Instance: {name}"] if name else []
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    return head if request.method == "HEAD" else head + data


def converse(client: socket.socket, options: Options) -> None:
    """Answer one client until it has nothing more to say, or until an HTTP request is answered."""
    while data := client.recv(CHUNK):
        data = data if options.raw else _collect(client, data)
        request = parse_request(data)
        if request is None:
            log(f"TCP connection: [{' '.join(map(str, data))}]")
            client.sendall(data)
            continue
        log(f"{request.protocol} connection: {request.method} {request.target}")
        client.sendall(data if options.raw else answer(request, data, options.name))
        _hang_up(client)
        return


def _collect(client: socket.socket, data: bytes) -> bytes:
    """Wait for the rest of what looks like a request: bounded in time and size."""
    deadline = time.monotonic() + REQUEST_SECONDS
    try:
        while _is_incomplete(data) and (left := deadline - time.monotonic()) > 0:
            client.settimeout(left)
            more = client.recv(65536)
            if not more:
                break
            data += more
    except TimeoutError:
        pass
    finally:
        client.settimeout(None)
    return data


def _is_incomplete(data: bytes) -> bool:
    request = parse_request(data)
    if request is None:
        return may_become_request(data)
    return len(data) < min(request.size, LARGEST_REQUEST)


def _hang_up(client: socket.socket) -> None:
    """Close our half first: a full close would destroy an answer that is still on its way."""
    client.shutdown(socket.SHUT_WR)
    client.settimeout(LINGER_SECONDS)
    deadline = time.monotonic() + LINGER_SECONDS
    while client.recv(65536) and time.monotonic() < deadline:
        pass


class Server:
    """Accepts in a thread of its own, and gives each connection another one, up to ``MOST_CONNECTIONS``."""

    def __init__(self, listener: socket.socket, options: Options) -> None:
        self._listener = listener
        self._options = options
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def start(self) -> None:
        """Begin to accept; the threads end with the program."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            self._room.acquire()
            try:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
            except (OSError, RuntimeError) as error:  # the client is gone again, or no file or thread is left
                self._room.release()
                log(f"cannot take a connection: {error}")
                time.sleep(0.1)

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                converse(client, self._options)
        except OSError:
            pass  # the client went away
        finally:
            self._room.release()


def log(text: str) -> None:
    """One line on stderr, with the prefix of the original; whole, whichever thread writes it."""
    with suppress(OSError):  # nobody reads it
        os.write(2, f"{datetime.now():%Y/%m/%d %H:%M:%S} {one_line(text)}\n".encode(errors="replace"))


def listen(interface: str, port: int) -> socket.socket:
    """Listen on one address, or on all of them (IPv4 and IPv6) if it is empty; raises ``OSError``."""
    if interface:
        family = socket.getaddrinfo(interface, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((interface, port), family=family, backlog=128)
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=128, dualstack_ipv6=True)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.EADDRINUSE, errno.EACCES):
            raise
        return socket.create_server(("", port), backlog=128)  # a machine without IPv6


class _Parser(argparse.ArgumentParser):
    """Flags with one dash or two, and help that goes to stderr with exit code 2, as in the original."""

    def __init__(self) -> None:
        super().__init__("kuma-tcp-echo", add_help=False, allow_abbrev=False)
        self.add_argument("-port", "--port", type=_port, default=8000, help="port to listen on (8000)")
        self.add_argument("-interface", "--interface", default="", help="address to listen on (all)")
        self.add_argument("-name", "--name", type=_header, default="", help="answer HTTP with X-Instance")
        self.add_argument("-raw", "--raw", action="store_true", help="echo HTTP byte for byte, too")
        self.add_argument("-h", "-help", "--help", action="store_true", dest="help", help="print this")
        detailed = "with the word version: print what it was built from, too"
        self.add_argument(
            "-a", "-detailed", "--detailed", action="store_true", dest="detailed", help=detailed
        )
        self.add_argument("words", nargs="*", help=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        print(f"Error: {message}", file=sys.stderr)
        self.print_help(sys.stderr)
        self.exit(2)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f'"{text}" is not a port; use 1 to 65535, or 0 for any free port')
    return int(text)


def _header(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise argparse.ArgumentTypeError("a name must consist of printable ASCII characters")
    return text


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the flags; ends the program with 2 and the usage on stderr if they are wrong, or for ``-h``.

    The word ``version`` prints the version and ends it with 0.
    """
    parser = _Parser()
    values = parser.parse_args(arguments)
    if values.help:
        parser.print_help(sys.stderr)
        parser.exit(2)
    if values.words[:1] == ["version"]:
        parser.exit(_print_version(values.detailed))
    return Options(values.port, values.interface, values.raw, values.name)


def _print_version(detailed: bool) -> int:
    try:
        print(detailed_version() if detailed else __version__, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again at its end
        print(f"Error: cannot write to standard output: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def serve(options: Options) -> int:
    """Echo until SIGINT or SIGTERM (exit code 0); 1 if the address cannot be listened on."""
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        listener = listen(options.interface, options.port)
    except OSError as error:
        print(f"Error: {_cannot_listen(options, error)}", file=sys.stderr)
        return 1
    log(f"Kuma TCP Echo - Listening to connections on port {listener.getsockname()[1]}")
    Server(listener, options).start()
    signal.sigwait(ending)
    return 0


def _cannot_listen(options: Options, error: OSError) -> str:
    where = f"port {options.port}" + (f" of {options.interface}" if options.interface else "")
    # create_server adds words of its own to strerror; the numbers of failed name lookups are negative
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror
    return f"cannot listen on {where}: {reason}. Name another one with -port or -interface."


def main() -> None:
    """The console script."""
    sys.exit(serve(parse_options(sys.argv[1:])))
