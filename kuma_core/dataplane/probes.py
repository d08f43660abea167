"""Answers the kubelet's probes for the application beside a proxy, whose own ports take nothing but mTLS.

Whoever reaches the Pod reaches this port. So it asks what it was told at the start and nothing else, gives away nothing
but whether that went well, and bounds how many may ask at once and for how long.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from kuma_core.dataplane import probe_targets
from kuma_core.dataplane.log import Log
from kuma_core.dataplane.probe_targets import Probing
from kuma_core.errors import KumaError

MOST_AT_ONCE = 32
"""With more, the one that has been sending its request for longest gives way."""
LONGEST_HEAD = 8192
HEAD_SECONDS = 5.0
"""For a whole request to arrive."""
MOST_HOOKS = 64
"""Containers that wait for the Pod's leave at once. They have a bound of their own, so that probes go on meanwhile."""


class Pod(Protocol):
    """What is known of the Pod as a whole: each gives an HTTP code and a sentence."""

    def left(self) -> tuple[int, str]:
        """Wait until the Pod leaves and everybody knows."""
        ...

    def ready(self) -> tuple[int, str]:
        """Whether Envoy listens."""
        ...


class ProbeServer:
    """Answers probes in threads of its own, from ``start`` to ``close``. Raises KumaError for a port that is taken."""

    def __init__(self, probing: Probing, host: str, log: Log, pod: Pod | None = None) -> None:
        self._probing, self._host, self._log, self._pod = probing, host, log, pod
        self._hooks = threading.BoundedSemaphore(MOST_HOOKS)
        self._guard = threading.Lock()
        self._reading: dict[socket.socket, None] = {}
        self._answering = 0
        try:
            self._listener = _listen(probing.port)
        except OSError as error:
            raise KumaError(
                f"the port {probing.port} for probes (KUMA_DATAPLANE_PROBES) cannot be listened on: {error.strerror}"
            ) from None
        self._thread = threading.Thread(target=self._accept, name="probes", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        self._log.info("probes are answered", port=self._probing.port, paths=sorted(self._probing.targets))

    def close(self) -> None:
        """Answer no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._thread.is_alive():
            self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if self._listener.fileno() < 0 or error.errno in _CLOSED:
                    return
                time.sleep(0.1)  # too many open files: some will go
                continue
            if self._admitted(connection):
                threading.Thread(target=self._serve, args=(connection,), name="probe", daemon=True).start()
            else:
                connection.close()

    def _admitted(self, connection: socket.socket) -> bool:
        with self._guard:
            if len(self._reading) + self._answering >= MOST_AT_ONCE:
                if not self._reading:
                    return False
                _end(next(iter(self._reading)))
                self._reading.pop(next(iter(self._reading)))
            self._reading[connection] = None
        return True

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                head = _head(connection)
                with self._guard:
                    if connection not in self._reading:
                        return
                    del self._reading[connection]
                with self._counted_unless(self._is_hook(head)):
                    code, text = self._answer(head)
                    connection.settimeout(HEAD_SECONDS)
                    connection.sendall(_message(code, text))
        finally:
            with self._guard:
                self._reading.pop(connection, None)

    @contextmanager
    def _counted_unless(self, is_hook: bool) -> Iterator[None]:
        with self._guard:
            self._answering += not is_hook
        try:
            yield
        finally:
            with self._guard:
                self._answering -= not is_hook

    def _is_hook(self, head: bytes) -> bool:
        """Its path is known to the kubelet, and to those who may read the Pod."""
        path = self._probing.leaving.encode()
        return bool(path) and head.split(b" ", 2)[1:2] == [path]

    def _wait(self) -> tuple[int, str]:
        if self._pod is None or not self._hooks.acquire(blocking=False):
            return 503, "nothing is known of whether this Pod leaves"
        try:
            return self._pod.left()
        finally:
            self._hooks.release()

    def _answer(self, head: bytes) -> tuple[int, str]:
        words = head.split(b"\r\n")[0].split(b" ")
        if len(words) != 3:
            return 400, "this is no request of HTTP"
        if words[0] not in (b"GET", b"HEAD"):
            return 405, "probes use GET"
        if self._is_hook(head):
            return self._wait()
        path = words[1].decode("ascii", "replace")
        if path == self._probing.ready:
            return self._pod.ready() if self._pod else (200, "nothing is known of Envoy")
        target = self._probing.targets.get(path)
        if target is None:
            return 404, "no probe has this path"
        code, text = probe_targets.ask(target, self._host)
        if code != probe_targets.GOOD:
            self._log.debug("a probe failed", probe=path, problem=text)
        return code, text


_CLOSED = (errno.EBADF, errno.EINVAL)
"""What a listener says that was shut down."""


def _listen(port: int) -> socket.socket:
    """All addresses: the kubelet asks that of the Pod, which may be one of IPv6."""
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise
        return socket.create_server(("", port))  # there is no IPv6 here


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _head(connection: socket.socket) -> bytes:
    """What a client sent up to an empty line. Raises OSError for one that takes too long, or is too long."""
    deadline = time.monotonic() + HEAD_SECONDS
    head = b""
    while b"\r\n\r\n" not in head:
        left = deadline - time.monotonic()
        if left <= 0 or len(head) > LONGEST_HEAD:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(LONGEST_HEAD)
        if not piece:
            raise ConnectionResetError
        head += piece
    return head


def _message(code: int, text: str) -> bytes:
    body = f"{text}\n".encode()
    lines = [
        f"HTTP/1.1 {code} Probe",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


@contextmanager
def served(
    probing: Probing | None, host: str, log: Log, pod: Pod | None = None
) -> Iterator[ProbeServer | None]:
    """The server of probes for the time of the block, if there is any to answer. It listens, and has to be started."""
    server = ProbeServer(probing, host, log, pod) if probing else None
    try:
        yield server
    finally:
        if server:
            server.close()
