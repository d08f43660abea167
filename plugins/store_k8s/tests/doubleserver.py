"""The double of the API server on a port."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from kuma_core.testing.ports import free_port

from .double import Answer, ApiDouble, Json, Stream, kubeconfig_for


@contextmanager
def served(double: ApiDouble, folder: Path) -> Iterator[Served]:
    """The double on a port of its own."""
    server = Served(double, folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Served:
    """A server that can be killed, started again on its port, and made to hang."""

    def __init__(self, double: ApiDouble, folder: Path) -> None:
        self.double, self.port = double, free_port()
        self.kubeconfig = kubeconfig_for(self.port, folder / "kubeconfig")
        self.open_now = threading.Event()
        self.open_now.set()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen."""
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.served = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """End it at once, with every connection."""
        if self._server is None or self._thread is None:
            return
        self._server.is_over = True
        self._server.shutdown()
        self._thread.join()
        for connection in list(self._server.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with self.double.changed:
            self.double.changed.notify_all()
        self._server.server_close()
        self._server = None

    @contextmanager
    def lost(self) -> Iterator[None]:
        """Killed until the end of the block."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Takes requests, and answers none until the end of the block."""
        self.open_now.clear()
        try:
            yield
        finally:
            self.open_now.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 256
    is_over = False
    served: Served

    def __init__(self, *arguments: object) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)  # type: ignore[arg-type]

    def process_request(self, request: object, client_address: object) -> None:
        self.connections.add(request)  # type: ignore[arg-type]
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: object) -> None:
        self.connections.discard(request)  # type: ignore[arg-type]
        super().shutdown_request(request)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever went is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        served = self.server.served
        url = urlsplit(self.path)
        path, query = unquote(url.path), dict(parse_qsl(url.query, keep_blank_values=True))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        served.open_now.wait()
        try:
            if served.double.token not in self.headers.get("Authorization", ""):
                raise Answer(401, "Unauthorized", "Unauthorized")
            if "watch" in query:
                self._stream(served.double, path, query)
            else:
                self._send(200, served.double.answer(self.command, path, query, body))
        except Answer as answer:
            self._send(answer.code, answer.status, answer.retry)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _send(self, code: int, item: Json, retry: int = 0) -> None:
        text = json.dumps(item, ensure_ascii=False).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if retry:
            self.send_header("Retry-After", str(retry))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self, double: ApiDouble, path: str, query: dict[str, str]) -> None:
        double.note("GET", path, query)
        stream = Stream(double, double.locate(path), query)
        events = list(stream.begin())
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        left = double.cut_of(path)
        while events is not None:
            text = b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events)
            if left is not None and len(text) >= left:
                self._chunk(text[:left])
                return  # without the end of the answer
            left = None if left is None else left - len(text)
            self._chunk(text)
            if any(event["type"] == "ERROR" for event in events):
                break
            events = stream.more(lambda: self.server.is_over)  # type: ignore[assignment]
        self.wfile.write(b"0\r\n\r\n")
        double.closes.wait()

    def _chunk(self, text: bytes) -> None:
        if text:
            self.wfile.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
            self.wfile.flush()
